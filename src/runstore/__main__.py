"""python -m runstore."""

from runstore.cli.main import main

if __name__ == "__main__":
    main()
