"""Scripts that complete commands, options and values in a shell."""

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from voltween.cli.catalogue import COMMANDS, WITHOUT_PREFIXES
from voltween.cli.common import COMMON
from voltween.cli.kinds import kind_of
from voltween.cli.parameters import Parameter, parameters_of, subcommands_of

_Listed = Callable[[Sequence[str]], str]
_CASE = " " * 8  # indentation of the cases of scripts


class _Command(NamedTuple):
    """A command, or a subcommand such as figures curves, with its parameters."""

    words: tuple[str, ...]
    parameters: Sequence[Parameter]

    @property
    def options(self) -> list[str]:
        """All option names, those of every command, too."""
        own = [flag for p in self.parameters for flag in p.flags]
        return list(dict.fromkeys([*own, *_COMMON_NAMES]))

    @property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """The values of options that have a list of them."""
        return {p.name: p.choices for p in self.parameters if p.flags and p.choices}

    @property
    def first_words(self) -> tuple[str, ...]:
        """The values of the first argument, if it has a list of them."""
        first = [p for p in self.parameters if p.is_argument][:1]
        return first[0].choices if first else ()


_COMMON_NAMES = [name.split(", ")[-1].split()[0] for name, _ in COMMON]


def completion_script(shell: str) -> str:
    """The script for bash, zsh or fish."""
    commands = list(_commands())
    makers: dict[str, Callable[[Sequence[_Command]], str]] = {
        "bash": _bash,
        "zsh": _zsh,
        "fish": _fish,
    }
    return makers[shell](commands)


def _commands() -> Iterator[_Command]:
    for name in COMMANDS:
        kind = kind_of(name, [])
        is_grouped = name in WITHOUT_PREFIXES
        subcommands = subcommands_of(kind)
        if not subcommands:
            yield _Command((name,), parameters_of(kind, is_grouped=is_grouped))
        for inner, inner_kind in subcommands.items():
            yield _Command((name, inner), parameters_of(inner_kind))


_BASH = """\
# Completion of voltween for bash.
_voltween() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} last=${{COMP_WORDS[COMP_CWORD-1]}}
    local command=${{COMP_WORDS[1]}} options="" values="" IFS=$'\\n'
    if [[ $COMP_CWORD -eq 1 ]]; then
        COMPREPLY=($(compgen -W {commands} -- "$word"))
        return
    fi
    if [[ $COMP_CWORD -gt 2 && {subcommands} == *" $command "* ]]; then
        command+=" ${{COMP_WORDS[2]}}"
    fi
    case "$command" in
{cases}
    esac
    if [[ -n $values ]]; then
        COMPREPLY=($(compgen -W "$values" -- "$word"))
        COMPREPLY=("${{COMPREPLY[@]// /\\\\ }}")
    elif [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$word"))
    else
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}}
complete -F _voltween voltween
"""
_ZSH = """\
#compdef voltween
_voltween() {{
    local last=${{words[CURRENT-1]}} command=${{words[2]}}
    local -a options values
    if (( CURRENT == 2 )); then
        options={commands}
        compadd -a options
        return
    fi
    if (( CURRENT > 3 )) && [[ {subcommands} == *" $command "* ]]; then
        command+=" ${{words[3]}}"
    fi
    case "$command" in
{cases}
    esac
    if (( $#values )); then
        compadd -a values
    elif [[ $PREFIX == -* ]]; then
        compadd -a options
    else
        _files
    fi
}}
if [[ $funcstack[1] == _voltween ]]; then
    _voltween "$@"
else
    compdef _voltween voltween
fi
"""


def _bash(commands: Sequence[_Command]) -> str:
    return _filled(_BASH, commands, _lines)


def _zsh(commands: Sequence[_Command]) -> str:
    return _filled(_ZSH, commands, lambda words: f"({shlex.join(words)})")


def _filled(template: str, commands: Sequence[_Command], listed: _Listed) -> str:
    """A script with the cases of all commands; `listed` writes a list of words."""
    groups = _subcommands(commands)
    cases = [_case(command, listed) for command in commands]
    cases += [f"{_CASE}{n}) values={listed(inner)} ;;" for n, inner in groups.items()]
    return template.format(
        commands=listed(["--help", "--version", *COMMANDS]),
        subcommands=shlex.quote(f" {' '.join(groups)} "),
        cases="\n".join(cases),
    )


def _case(command: _Command, listed: _Listed) -> str:
    """Sets the options of a command, and the values of the option before the cursor."""
    lines = [f"{_CASE}{shlex.quote(' '.join(command.words))})"]
    lines += [f"{_CASE}    options={listed(command.options)}"]
    lines += [f'{_CASE}    case "$last" in']
    choices = dict(command.choices)
    if command.first_words:
        choices[command.words[-1]] = command.first_words
    for name, values in choices.items():
        lines.append(f"{_CASE}        {name}) values={listed(values)} ;;")
    return "\n".join([*lines, f"{_CASE}    esac ;;"])


def _lines(words: Sequence[str]) -> str:
    r"""The words as one word of bash, with a line for each: compgen splits at lines."""
    return "$'" + "\\n".join(word.replace("'", "\\'") for word in words) + "'"


def _fish(commands: Sequence[_Command]) -> str:
    lines = ["# Completion of voltween for fish.", "complete -c voltween -f"]
    for name, text in COMMANDS.items():
        lines.append(_fish_line("__fish_use_subcommand", f"-a {name}", text))
    for name, inner in _subcommands(commands).items():
        condition = f"__fish_seen_subcommand_from {name}"
        lines.append(_fish_line(condition, _fish_values(inner), "Kind"))
    for command in commands:
        lines += _fish_options(command)
    return "\n".join([*lines, ""])


def _fish_options(command: _Command) -> Iterator[str]:
    conditions = [f"__fish_seen_subcommand_from {word}" for word in command.words]
    condition = "; and ".join(conditions)
    if command.first_words:
        yield _fish_line(condition, _fish_values(command.first_words), "")
    else:
        yield _fish_line(condition, "-F", "")
    for parameter in command.parameters:
        for flag in parameter.flags:
            name = f"-l {flag.removeprefix('--')}"
            if parameter.choices:
                name += f" -x {_fish_values(parameter.choices)}"
            elif not parameter.is_flag:
                name += " -r -F"
            yield _fish_line(condition, name, _sentence(parameter.text))
    for flag, text in COMMON:
        option, *value = flag.split(", ")[-1].split()
        name = f"-l {option.removeprefix('--')}" + (" -r -F" if value else "")
        yield _fish_line(condition, name, _sentence(text))


def _fish_values(words: Sequence[str]) -> str:
    """The values that are offered: fish reads them again, and splits at spaces."""
    return f"-a {shlex.quote(shlex.join(words))}"


def _fish_line(condition: str, words: str, text: str) -> str:
    described = f" -d {shlex.quote(' '.join(text.split()))}" if text else ""
    return f"complete -c voltween -n {shlex.quote(condition)} {words}{described}"


def _sentence(text: str) -> str:
    """The first sentence of a text."""
    return re.split(r"[.:;]\s", text.removesuffix("."), maxsplit=1)[0]


def _subcommands(commands: Sequence[_Command]) -> dict[str, list[str]]:
    """The second words of commands that have some, by the first."""
    groups: dict[str, list[str]] = {}
    for command in commands:
        if len(command.words) == 2:
            groups.setdefault(command.words[0], []).append(command.words[1])
    return groups
