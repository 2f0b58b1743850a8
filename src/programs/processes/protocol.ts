/**
 * What a program and the children it starts say to each other: a job and two words on the child's standard input,
 * reports on its standard output, one JSON value a line.
 */
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"

/** Counts that only grow, for whoever shows progress. */
export const Progress = Schema.TaggedStruct("Progress", { records: Schema.Int, bytes: Schema.Int })
export type Progress = typeof Progress.Type

/** Everything a child says. `result` is checked again with the schema of the child's own result. */
export const Report = Schema.Union([
  Schema.TaggedStruct("Ready", {}),
  Progress,
  Schema.TaggedStruct("Result", { result: Schema.Unknown }),
  Schema.TaggedStruct("Failure", { error: Schema.String, detail: Schema.String })
])
export type Report = typeof Report.Type

/** `begin`: everybody is ready. `end` (or the end of the input): nobody needs you any more. */
export type Word = "begin" | "end"

/**
 * A child program: the path of its entry (see `programBeside`), and what goes in and comes out.
 */
export interface ChildProgram<Job, Result> {
  readonly entry: string
  readonly job: Schema.Codec<Job, any>
  readonly result: Schema.Codec<Result, any>
}

/** The path of the program `name` beside the module at `moduleUrl`: as source or as compiled output, like the module. */
export const programBeside = (moduleUrl: string, name: string): string =>
  fileURLToPath(new URL(`./${name}${moduleUrl.endsWith(".ts") ? ".ts" : ".js"}`, moduleUrl))
