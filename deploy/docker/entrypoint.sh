#!/bin/sh
# The image's entry point: the first argument says what runs. The process takes this shell's place, and so its signals.
set -eu
root=${0%/bin/*}

usage() {
  cat << 'END'
usage: docker run plateau SERVICE [--help]
       docker run plateau plateau COMMAND ...

  target-model | flatness-scorer | trainer | serving | console
      runs the service; its settings are PLATEAU_* variables, which SERVICE --help explains
  plateau
      the operator's command line; `plateau --help` lists its commands
END
}

case "${1-}" in
  target-model | flatness-scorer | trainer | serving | console)
    service=$1
    shift
    exec node "$root/services/$service/dist/main.js" "$@"
    ;;
  plateau)
    shift
    exec "$root/bin/plateau" "$@"
    ;;
  '' | help | -h | --help)
    usage
    ;;
  *)
    echo "plateau: \"$1\" is not a service of this image" >&2
    usage >&2
    exit 2
    ;;
esac
