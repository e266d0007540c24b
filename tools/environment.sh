# make_environment FOLDER LOCK: a virtual environment with exactly the packages of a lock file.
# Sourced by ./mailstead and ./test. Does nothing where the environment is up to date.

say() { printf 'mailstead: %s\n' "$*" >&2; }

# The newest Python here that is new enough.
find_python() {
    for name in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 || continue
        "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        command -v "$name"
        return
    done
    say 'Python 3.11 or newer is needed: install it (Debian 12, Ubuntu 24.04: apt-get install python3)'
    return 1
}

# Debian and Ubuntu keep ensurepip in a package of its own.
bring_venv() {
    package="python3-venv"
    if ! command -v apt-get >/dev/null 2>&1; then
        say "this Python can't make virtual environments: install its venv and ensurepip modules"
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        say "this Python can't make virtual environments. Type: sudo apt-get install -y $package"
        return 1
    fi
    say "installing $package, which this Python lacks"
    export DEBIAN_FRONTEND=noninteractive
    { apt-get install -y -q "$package" || { apt-get update -q && apt-get install -y -q "$package"; }; } >&2
}

make_environment() (
    folder=$1 lock=$2
    case $(uname -s) in
        MINGW* | MSYS* | CYGWIN*) say 'on Windows mailstead runs in WSL2'; exit 1 ;;
    esac
    python=$(find_python)
    mark="$(cksum <"$lock") $("$python" -V) $here"
    [ "$(cat "$folder/complete" 2>/dev/null)" = "$mark" ] && exit 0
    # Two starts at once: the second waits, and finds the environment made.
    if command -v flock >/dev/null 2>&1; then
        exec 9>"$folder.lock"
        flock 9
        [ "$(cat "$folder/complete" 2>/dev/null)" = "$mark" ] && exit 0
    fi
    say "setting up ${folder##*/} (once)"
    rm -rf "$folder"
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --no-project --python "$python" "$folder"
        uv pip install --quiet --python "$folder/bin/python" --require-hashes --no-deps -r "$lock"
    else
        "$python" -c 'import ensurepip, venv' 2>/dev/null || bring_venv
        "$python" -m venv "$folder"
        "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
            --require-hashes --no-deps -r "$lock"
    fi
    site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    printf '%s\n' "$here/src" >"$site/mailstead.pth"
    printf '%s\n' "$mark" >"$folder/complete"
)
