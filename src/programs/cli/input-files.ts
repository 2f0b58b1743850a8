/**
 * Finds and checks the files that a demonstration publishes, before it starts.
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import type * as PlatformError from "effect/PlatformError"
import * as Schema from "effect/Schema"
import { fileURLToPath } from "node:url"

export const InputFile = Schema.Struct({ path: Schema.String, bytes: Schema.Int })
export type InputFile = typeof InputFile.Type

/** An input cannot be read. */
export class InputUnreadable extends Schema.TaggedError<InputUnreadable>()("InputUnreadable", {
  path: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `cannot read ${this.path}: ${this.detail}`
  }
}

/** All inputs are empty. */
export class InputEmpty extends Schema.TaggedError<InputEmpty>()("InputEmpty", {
  paths: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `all input is empty: ${this.paths.join(", ")}`
  }
}

/** All regular files under the paths, in an order independent of the file system. */
export const collect = Effect.fnUntraced(function*(paths: ReadonlyArray<string>) {
  const perPath = yield* Effect.forEach(paths, filesUnder)
  const files = perPath.flat().filter(({ bytes }) => bytes > 0)
  if (files.length === 0) return yield* new InputEmpty({ paths })
  return files
})

/** The installed sources of Effect: present in every installation, and of many sizes. */
export const defaultInput: Effect.Effect<string> = Effect.sync(() =>
  fileURLToPath(new URL("src", import.meta.resolve("effect/package.json")))
)

// --- internal ---

const reading = 16

const unreadable = (path: string) => (error: PlatformError.PlatformError) =>
  new InputUnreadable({ path, detail: error.reason._tag === "NotFound" ? "it does not exist" : error.message })

const filesUnder = Effect.fnUntraced(function*(given: string) {
  const fs = yield* FileSystem.FileSystem
  const { resolve } = yield* Path.Path
  const path = resolve(given)
  const { type } = yield* Effect.mapError(fs.stat(path), unreadable(given))
  if (type !== "Directory") return yield* readableFile(path)
  const names = yield* Effect.mapError(fs.readDirectory(path, { recursive: true }), unreadable(given))
  const found = yield* Effect.forEach(
    names.map((name) => resolve(path, name)).toSorted(),
    // Ignore a dangling link.
    (name) =>
      Effect.flatMap(
        Effect.option(fs.stat(name)),
        (stat) => Option.isSome(stat) && stat.value.type === "File" ? readableFile(name) : nothing
      ),
    { concurrency: reading }
  )
  return found.flat()
})

const nothing: Effect.Effect<ReadonlyArray<InputFile>> = Effect.succeed([])

const readableFile = Effect.fnUntraced(
  function*(path: string): Effect.fn.Return<
    ReadonlyArray<InputFile>,
    InputUnreadable,
    FileSystem.FileSystem
  > {
    const fs = yield* FileSystem.FileSystem
    const readable = Effect.andThen(fs.access(path, { readable: true }), fs.stat(path))
    const { size, type } = yield* Effect.mapError(readable, unreadable(path))
    if (type !== "File") return yield* new InputUnreadable({ path, detail: `it is a ${type}, not a file or folder` })
    return [{ path, bytes: Number(size) }]
  }
)
