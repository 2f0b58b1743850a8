/**
 * Reads the input of `ringfence publish` in chunks: files, named pipes and standard input.
 */
import * as NodeStream from "@effect/platform-node/NodeStream"
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type * as PlatformError from "effect/PlatformError"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { constants, fstatSync, openSync } from "node:fs"
import { Socket } from "node:net"
import { InputUnreadable } from "../cli/input-files.ts"

export interface Input {
  readonly path: string
  /** Each chunk is valid until the next is pulled. */
  readonly chunks: Stream.Stream<Uint8Array, InputUnreadable>
}

/** Checks every input before the first is read. No path, or `-`, means standard input. */
export const openInputs = (
  paths: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Input>, InputUnreadable, FileSystem.FileSystem | Stdio.Stdio> =>
  Effect.forEach(paths.length === 0 ? ["-"] : paths, openInput)

// --- internal ---

const chunkBytes = 1024 * 1024

const openInput = (
  path: string
): Effect.Effect<Input, InputUnreadable, FileSystem.FileSystem | Stdio.Stdio> =>
  path === "-" || path === "/dev/stdin" ? standardInput : fileInput(path)

const standardInput = Effect.gen(function*() {
  const { stdin } = yield* Stdio.Stdio
  // Refuse a folder, which Node.js reads as empty input.
  if (isFolder(0)) return yield* new InputUnreadable({ path: "standard input", detail: itsFolder })
  const input: Input = {
    path: "standard input",
    chunks: Stream.mapError(stdin, (error) => unreadable("standard input", error))
  }
  return input
})

const itsFolder = "it is a folder (name the files in it)"

const isFolder = (descriptor: number): boolean => {
  try {
    return fstatSync(descriptor).isDirectory()
  } catch {
    return false
  }
}

const fileInput = Effect.fnUntraced(function*(path: string) {
  const files = yield* FileSystem.FileSystem
  const info = yield* Effect.mapError(files.stat(path), (error) => unreadable(path, error))
  if (info.type === "Directory") return yield* new InputUnreadable({ path, detail: itsFolder })
  yield* Effect.mapError(files.access(path, { readable: true }), (error) => unreadable(path, error))
  const input: Input = {
    path,
    chunks: info.type === "FIFO"
      ? pipeChunks(path)
      : Stream.mapError(fileChunks(files, path), (error) => unreadable(path, error))
  }
  return input
})

// Reads all chunks into one buffer.
const fileChunks = (files: FileSystem.FileSystem, path: string) =>
  Stream.unwrap(Effect.map(files.open(path), (file) => {
    const buffer = new Uint8Array(chunkBytes)
    const read = Effect.flatMap(file.read(buffer), (bytes) => {
      const chunk = buffer.subarray(0, Number(bytes))
      return chunk.length === 0 ? Cause.done() : Effect.succeed(Arr.of(chunk))
    })
    return Stream.fromPull(Effect.succeed(read))
  }))

// Reads a pipe through the event loop: a thread of the pool that waits for the pipe's writer could not be interrupted,
// and would keep the process from ending.
const pipeChunks = (path: string): Stream.Stream<Uint8Array, InputUnreadable> => {
  const failed = (error: unknown) => new InputUnreadable({ path, detail: String(error) })
  const open = Effect.try({
    try: () => new Socket({ fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK), writable: false }),
    catch: failed
  })
  return Stream.unwrap(
    Effect.map(open, (socket) =>
      NodeStream.fromReadable<Uint8Array, InputUnreadable>({
        evaluate: () => socket,
        onError: failed
      }))
  )
}

const reasons: Readonly<Record<string, string>> = {
  NotFound: "there is no such file",
  PermissionDenied: "permission denied"
}

/** The system's error code: `EIO`, `EISDIR`. */
const codeOf = ({ reason }: PlatformError.PlatformError): string => {
  const [code] = /\bE[A-Z0-9]{2,}\b/.exec(String(("cause" in reason ? reason.cause : undefined) ?? reason)) ?? []
  return code === undefined ? "" : ` (${code})`
}

const unreadable = (path: string, error: PlatformError.PlatformError): InputUnreadable =>
  new InputUnreadable({ path, detail: reasons[error.reason._tag] ?? `it cannot be read${codeOf(error)}` })
