"""Generates the message classes from the published image; no .proto file is needed."""

import pathlib
import sys

from grpc_tools import protoc

HERE = pathlib.Path(__file__).resolve().parent
IMAGE = HERE.parent.parent / "docs" / "plateau.binpb"


def main() -> int:
    out = HERE / "generated"
    out.mkdir(exist_ok=True)
    return protoc.main(
        ["protoc", f"--descriptor_set_in={IMAGE}", f"--python_out={out}", "plateau/stream/v1/window.proto"]
    )


if __name__ == "__main__":
    sys.exit(main())
