"""The commands: one file each, or one for a group of them.

Promise   A command's file is cheap to import, for `rapport --help` imports them all: what is heavy is
          imported when the command runs.

options         the options that are settings, and the printed forms that commands share
"""
