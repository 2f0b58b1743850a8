/**
 * Formats the help, and the errors of a command line that cannot be parsed, one line each.
 */
import * as CliOutput from "effect/cli/CliOutput"
import { reportsAs } from "./command-line.ts"
import { exitCode, failureReport } from "./exit.ts"
import { writeNotice } from "./streams.ts"

/** A description of several lines, as the help lays them out. */
export const lines = (...texts: ReadonlyArray<string>): string => texts.join("\n  ")

export const presenter: CliOutput.Presenter = {
  present: (event) => {
    if (event._tag !== "InvalidInvocation") return CliOutput.defaultPresenter.present(event)
    const mistakes = event.errors.map(({ message }) =>
      message.replace(/\n\s*Did you mean this\?\s*/, ": did you mean ").replaceAll(/\s*\n\s*/g, " ")
    )
    const hint = `see: ${event.commandPath.join(" ")} --help`
    const { json, program } = reportsAs(process.argv.slice(2))
    if (json) {
      const failure = { _tag: "UsageInvalid", message: mistakes.join("; "), hint }
      return writeNotice(JSON.stringify(failureReport(program, exitCode.usage, failure)))
    }
    return writeNotice([...mistakes.map((mistake) => `ringfence: ${mistake}`), hint].join("\n"))
  }
}
