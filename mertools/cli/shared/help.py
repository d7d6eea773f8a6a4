"""Help texts: commands in groups with whole summaries, and arguments named by what they are."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup

OLD_SPELLINGS = {"--plots": "--plot", "--window": "--length"}
"""Options by their names in the first edition, which scripts may use; help does not show them."""

NAMES_OF_NUMBERS = {"int": "N", "int range": "N"}
"""What help calls the value of an option that does not say it, by its type."""


class MerCommand(TyperCommand):
    """A command whose help has no names of types, and which takes old spellings of options."""

    def __init__(self, name: str | None, **settings: Any) -> None:
        """Name the values of options that leave it to their type."""
        super().__init__(name, **settings)
        for param in self.params:
            if param.metavar is None and (choices := getattr(param.type, "choices", None)):
                param.metavar = "|".join(map(str, choices))
            elif param.metavar is None:
                param.metavar = NAMES_OF_NUMBERS.get(param.type.name)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Name the arguments without the braces that typer puts around those that are needed."""
        arguments = [param for param in self.get_params(ctx) if isinstance(param, TyperArgument)]
        pieces = [self.options_metavar] if self.options_metavar else []
        for argument in arguments:
            name = argument.make_metavar(ctx)
            pieces.append(name if argument.required or name.startswith("[") else f"[{name}]")
        return pieces

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments after replacing old names of options by today's."""
        known = {name for param in self.params for name in param.opts}
        return super().parse_args(ctx, [_spell_anew(word, known) for word in args])


def _spell_anew(word: str, known: set[str]) -> str:
    name, equals, value = word.partition("=")
    new = OLD_SPELLINGS.get(name)
    return word if new not in known or name in known else f"{new}{equals}{value}"


class MerGroup(TyperGroup):
    """Commands listed in the groups that their `rich_help_panel` names, each summary whole.

    `default` is the command that is meant where the arguments begin with none.
    """

    default: str | None = None

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse arguments, after adding the default command where there is one to add."""
        named = args and args[0] in {*self.commands, *ctx.help_option_names}
        if self.default is not None and not named:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section a group, in the order of the commands."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is None or command.hidden:
                continue
            panel = getattr(command, "rich_help_panel", None)
            summary = command.short_help or first_sentence(command.help or "")
            groups.setdefault(panel if isinstance(panel, str) else "Commands", []).append(
                (name, summary)
            )
        width = max((len(name) for rows in groups.values() for name, _ in rows), default=0)
        for group, rows in groups.items():
            with formatter.section(group):
                # Names of equal length keep the columns of all groups in line.
                formatter.write_dl([(name.ljust(width), summary) for name, summary in rows])


def first_sentence(text: str) -> str:
    """Give the first paragraph of a help text, which is its summary, on one line."""
    return " ".join(text.partition("\n\n")[0].split())
