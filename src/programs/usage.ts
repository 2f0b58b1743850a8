/**
 * The help, and what is said about a command line that cannot be understood: one line for each mistake.
 */
import * as CliOutput from "effect/cli/CliOutput"
import { writeNotice } from "./standard-streams.ts"

/** A description of several lines, as the help lays them out. */
export const lines = (...texts: ReadonlyArray<string>): string => texts.join("\n  ")

export const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    const mistakes = event.errors.map(({ message }) => `ringfence: ${message.replaceAll(/\s*\n\s*/g, " ")}`)
    return writeNotice([...mistakes, `see: ${event.commandPath.join(" ")} --help`].join("\n"))
  }
}
