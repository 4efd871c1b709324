"""Exit codes of the command line: one closed list, shown by `careops --help`."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means; scripts may rely on the numbers, which never change their meaning."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    SETTINGS_INVALID = 3
    MACHINE_UNFIT = 4
    TOOLCHAIN = 5
    CLUSTER = 6
    POLICY = 7
    DEPLOYMENT = 8
    LOCK_HELD = 9
    NOT_CONFIRMED = 10
    UNHEALTHY = 11
    TESTS_FAILED = 12
    REFRESH_FAILED = 13
    NOT_ALLOWED = 14
    INTERRUPTED = 130


MEANING: dict[ExitCode, str] = {
    ExitCode.OK: "done",
    ExitCode.UNEXPECTED: "a defect in careops itself; the log named on screen has the details",
    ExitCode.USAGE: "unknown or refused: a command, option, environment, value, or the hours asked for",
    ExitCode.SETTINGS_INVALID: "a settings file is not valid, or the passphrase does not fit; nothing was touched",
    ExitCode.MACHINE_UNFIT: "this machine lacks something: root, disk, memory, a free port, the right to a file",
    ExitCode.TOOLCHAIN: "a download was refused, or a build failed",
    ExitCode.CLUSTER: "the cluster does not start, does not answer, or does not enforce NetworkPolicy",
    ExitCode.POLICY: "the policy pack refused the change, or what runs; or what runs could not be judged",
    ExitCode.DEPLOYMENT: "Pulumi could not make the environment what its settings say",
    ExitCode.LOCK_HELD: "another careops is changing this platform, or somebody changed the same thing just now",
    ExitCode.NOT_CONFIRMED: "the confirmation was refused or missing; nothing was done",
    ExitCode.UNHEALTHY: "it is deployed, but something does not answer or is not there yet",
    ExitCode.TESTS_FAILED: "a check or a test failed, or a certificate does not prove what it says",
    ExitCode.REFRESH_FAILED: "a refresh or rollback failed, or left no genuine certificate; it says what there is",
    ExitCode.NOT_ALLOWED: "you may not do that, or a second person has to; nothing was changed",
    ExitCode.INTERRUPTED: "interrupted; run the same command again, it continues",
}


def epilogue() -> str:
    """Return the table of exit codes as `--help` prints it, one line each."""
    return "\n".join(f"{code.value:>3}  {MEANING[code]}" for code in ExitCode)
