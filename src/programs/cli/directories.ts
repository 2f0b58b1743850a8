/**
 * Directories on the command line: one that a command is about, or any number that a flag names.
 */
import * as Argument from "effect/cli/Argument"
import * as Flag from "effect/cli/Flag"

const refusal = () => "no directory is given"
const isGiven = (path: string): boolean => path !== ""

export const directoryArgument = (name: string, description: string) =>
  Argument.String(name).pipe(Argument.withDescription(description), Argument.filter(isGiven, refusal))

/** The flag may be repeated. */
export const directoriesFlag = (name: string, description: string) =>
  Flag.String(name).pipe(
    Flag.withMetavar("directory"),
    Flag.withDescription(`${description}; repeatable`),
    Flag.filter(isGiven, refusal),
    Flag.atLeast(0)
  )
