# make_environment FOLDER LOCK: a virtual environment with exactly the packages of a lock file.
# Sourced by ./mailstead and ./test. Does nothing where the environment is up to date.

say() { printf 'mailstead: %s\n' "$*" >&2; }

# The first Python here that is new enough.
find_python() {
    seen=''
    for name in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 || continue
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
        seen="$seen; $name here is $("$name" -V 2>&1 | head -n 1)"
    done
    say "Python 3.11 or newer is needed$seen." \
        'Debian 12 and 13 and Ubuntu 24.04 have it (apt-get install python3);' \
        "elsewhere name one: PYTHON=/path/to/python3.12 $0"
    return 1
}

# Debian and Ubuntu keep ensurepip in a package of its own.
bring_venv() {
    package=${1##*/}-venv
    case $package in python3-venv | python3.[0-9]*-venv) ;; *) package=python3-venv ;; esac
    if ! command -v apt-get >/dev/null 2>&1; then
        say "this Python can't make virtual environments: install its venv and ensurepip modules"
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        line="apt-get install -y $package"
        if command -v sudo >/dev/null 2>&1; then line="sudo $line"; else line="su -c '$line'"; fi
        say "this Python can't make virtual environments. Type the next line, then start again:"
        printf '%s\n' "$line" >&2
        return 1
    fi
    say "installing $package, which this Python lacks"
    apt_get install "$package" 2>/dev/null || { apt_get update && apt_get install "$package"; }
}

apt_get() (
    verb=$1
    shift
    export DEBIAN_FRONTEND=noninteractive
    apt-get "$verb" -y -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null
)

make_environment() (
    folder=$1 lock=$2
    case $(uname -s) in
        MINGW* | MSYS* | CYGWIN*) say 'on Windows mailstead runs in WSL2'; exit 1 ;;
    esac
    python=$(find_python)
    mark="$(cksum <"$lock") $("$python" -V) $here"
    [ "$(cat "$folder/complete" 2>/dev/null)" = "$mark" ] && exit 0
    # The file is kept: who removed it would let two in at once.
    if ! (: >>"$folder.lock") 2>/dev/null; then
        say "$here can't be written to, and its environment ${folder##*/} is not made yet:" \
            'start once as its owner, or clone it to a folder of your own'
        exit 1
    fi
    # Two starts at once: the second waits, and finds the environment made.
    if command -v flock >/dev/null 2>&1; then
        exec 9>>"$folder.lock"
        flock -n 9 || { say "waiting for another start to set up ${folder##*/}"; flock 9; }
        [ "$(cat "$folder/complete" 2>/dev/null)" = "$mark" ] && exit 0
    fi
    say "setting up ${folder##*/} (once)"
    rm -rf "$folder"
    if uv --version >/dev/null 2>&1; then
        uv venv --quiet --no-project --python "$python" "$folder"
        uv pip install --quiet --python "$folder/bin/python" --require-hashes --no-deps -r "$lock"
    else
        "$python" -c 'import ensurepip, venv' 2>/dev/null || bring_venv "$python"
        "$python" -m venv "$folder"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
            --use-pep517 --require-hashes --no-deps -r "$lock"
    fi
    site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    if ! grep -q '^pip==' "$lock"; then
        # What the environment was made with is no part of it, and a third of its size.
        (cd "$site" && rm -rf pip pip-* setuptools setuptools-* pkg_resources _distutils_hack \
            distutils-precedence.pth "$folder"/bin/pip*)
    fi
    printf '%s\n' "$here/src" >"$site/mailstead.pth"
    printf '%s\n' "$mark" >"$folder/complete"
)
