"""The command `vnethash`, one thin module a subcommand."""
