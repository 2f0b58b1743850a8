/**
 * The protocol between a program and its children: a job and commands on the child's standard input, reports on its
 * standard output, one line each.
 */
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"

/** Counts for progress displays. They only grow. */
export const Progress = Schema.TaggedStruct("Progress", { records: Schema.Int, bytes: Schema.Int })
export type Progress = typeof Progress.Type

/** The reports of a child. The parent decodes `result` with the schema of that child's result. */
export const Report = Schema.Union([
  Schema.TaggedStruct("Ready", {}),
  Progress,
  Schema.TaggedStruct("Result", { result: Schema.Unknown }),
  Schema.TaggedStruct("Failure", { error: Schema.String, detail: Schema.String })
])
export type Report = typeof Report.Type

/**
 * A parent's commands. `begin`: all children are ready. `finish`: a child that kept work back for this word may finish it.
 * `end`, or the end of the input: the child may end.
 */
export type Word = "begin" | "finish" | "end"

/**
 * A child program: the path of its entry (see `programBeside`), and the schemas of its job and its result.
 */
export interface ChildProgram<Job, Result> {
  readonly entry: string
  readonly job: Schema.Codec<Job, any>
  readonly result: Schema.Codec<Result, any>
}

/**
 * The path of the program `name` beside the module at `moduleUrl`: as source or as compiled output, like the module.
 */
export const programBeside = (moduleUrl: string, name: string): string =>
  fileURLToPath(new URL(`./${name}${moduleUrl.endsWith(".ts") ? ".ts" : ".js"}`, moduleUrl))
