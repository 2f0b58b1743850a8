/**
 * Checks of a run: as lines of a report, and as the failure of a program whose checks do not hold.
 */
import * as Schema from "effect/Schema"
import { plural } from "../../services/text/quantities.ts"
import { exitCode } from "./exit.ts"

export interface Check {
  readonly name: string
  readonly holds: boolean
  readonly detail: string
}

export const check = (name: string, holds: boolean, detail: string): Check => ({ name, holds, detail })

/** The exit code: `ok` if all checks hold, `checkFailed` otherwise. */
export const codeOfChecks = (passed: boolean): number => passed ? exitCode.ok : exitCode.checkFailed

/** The program did its work, but a check of the result failed. */
export class ChecksFailed extends Schema.TaggedError<ChecksFailed>()("ChecksFailed", {
  program: Schema.String,
  failed: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `${this.program}: ${plural(this.failed.length, "check")} failed: ${this.failed.join("; ")}`
  }
}

export const checkLine = ({ detail, holds, name }: Check): string => `${holds ? "✓" : "✗"} ${name}: ${detail}`

export const namesOfFailed = (checks: ReadonlyArray<Check>): ReadonlyArray<string> =>
  checks.filter(({ holds }) => !holds).map(({ name }) => name)
