# bash completion for cowlab and cowprobe
# shellcheck shell=bash

_cowlab_runs() { # [series_id]: of the runs themselves, or of their series
    local db=${COWLAB_DB:-cowlab.db} i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in -d | --db) db=${COMP_WORDS[i + 1]} ;; esac
    done
    [ -r "$db" ] && command -v sqlite3 >/dev/null &&
        sqlite3 -readonly "$db" "SELECT DISTINCT ${1:-run_id} FROM runs WHERE ${1:-run_id} NOT NULL ORDER BY started_at DESC LIMIT 50" 2>/dev/null
    [ -n "${1:-}" ] || echo latest
}

_cowlab_words() { # WORDS: completes from a list
    mapfile -t COMPREPLY < <(compgen -W "$1" -- "${COMP_WORDS[COMP_CWORD]}")
}

_cowlab_files() {
    mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
}

_cowlab() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    if [ "$COMP_CWORD" -eq 1 ]; then
        _cowlab_words "list run show report diff vmmap watch export doctor --help --version"
        return
    fi
    case $before in
    -d | --db | -o | --output) _cowlab_files; return ;;
    -b | --backend) _cowlab_words "linux gnumach"; return ;;
    -f | --format) [ "${COMP_WORDS[1]}" != export ] || { _cowlab_words perfetto; return; } ;;
    esac
    case ${COMP_WORDS[1]}:$word in
    run:-*) _cowlab_words "--backend --db --param --repeat --seed --pause --json --help" ;;
    show:-*) _cowlab_words "--db --json --help" ;;
    diff:-*) _cowlab_words "--db --json --help" ;;
    report:-*) _cowlab_words "--db --output --help" ;;
    vmmap:-*) _cowlab_words "--json --min --non-writable --summary --share --type --writable --help" ;;
    watch:-*) _cowlab_words "--children --db --every --for --lines --no-frames --help" ;;
    export:-*) _cowlab_words "--db --format --output --help" ;;
    doctor:-*) _cowlab_words "--json --help" ;;
    run:*)
        _cowlab_words "$(cowlab list 2>/dev/null | awk '{ print $1 }')"
        [ ${#COMPREPLY[@]} -gt 0 ] || _cowlab_files
        ;;
    show:* | report:*) _cowlab_words "$(_cowlab_runs) $(_cowlab_runs series_id)" ;;
    export:*) _cowlab_words "$(_cowlab_runs)" ;;
    diff:*)
        _cowlab_words "$(_cowlab_runs) $(_cowlab_runs series_id)"
        [ ${#COMPREPLY[@]} -gt 0 ] || _cowlab_files
        ;;
    vmmap:* | watch:*) mapfile -t COMPREPLY < <(compgen -W "$(cd /proc && echo [0-9]*)" -- "$word") ;;
    esac
}

_cowprobe() {
    case ${COMP_WORDS[COMP_CWORD]} in
    -*) _cowlab_words "--runs --compact --threads --help --version" ;;
    *) _cowlab_words "$(cd /proc && echo [0-9]*)" ;;
    esac
}

complete -F _cowlab cowlab
complete -F _cowprobe cowprobe
