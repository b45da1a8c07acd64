"""The rotation function as a program: the event comes on standard input, a failure is an exit status and a text."""

import json
import sys

from function import lambda_handler


def main():
    event = json.load(sys.stdin)
    print("what is written here is ignored")
    try:
        lambda_handler(event, None)
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
