"""``python -m mailstead`` and the ``mailstead`` command."""

from mailstead.cli import main

if __name__ == "__main__":
    main(prog_name="mailstead")
