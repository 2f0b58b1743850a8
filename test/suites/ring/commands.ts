/**
 * Random histories of rings: what processes, writers and readers do, in any order.
 */
import * as fc from "fast-check"

/** The next action of a process, a writer or a reader. Indexes are taken modulo the number of candidates. */
export type Command =
  | { readonly do: "attach" }
  | { readonly do: "detach" | "kill"; readonly process: number }
  | { readonly do: "write" | "read"; readonly process: number; readonly name: number }
  | { readonly do: "append"; readonly writer: number; readonly length: number; readonly times: number }
  | { readonly do: "publish" | "evict" | "wantRoom" | "closeWriter"; readonly writer: number }
  | { readonly do: "poll"; readonly reader: number; readonly max: number }
  | { readonly do: "advance"; readonly reader: number; readonly to: ReadonlyArray<number> }
  | { readonly do: "rejoin" | "closeReader"; readonly reader: number }

const index = fc.nat({ max: 3 })
const name = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  { weight: 3, arbitrary: fc.constant(1) },
  { weight: 1, arbitrary: fc.constant(2) }
)
const length = fc.oneof(fc.nat({ max: 300 }), fc.constantFrom(0, 700, 900, 991, 992, 993))
const share = fc.oneof(fc.constantFrom(1, 0), fc.float({ min: 0, max: 1, noNaN: true }))

const onWriter = <D extends "publish" | "evict" | "wantRoom" | "closeWriter">(weight: number, what: D) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(what), writer: index })
})

const onReader = <D extends "rejoin" | "closeReader">(weight: number, what: D) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(what), reader: index })
})

const onProcess = <D extends "detach" | "kill">(weight: number, what: D) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(what), process: index })
})

const open = <D extends "write" | "read">(weight: number, what: D) => ({
  weight,
  arbitrary: fc.record({ do: fc.constant(what), process: index, name })
})

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 4, arbitrary: fc.constant({ do: "attach" as const }) },
  onProcess(1, "detach"),
  onProcess(1, "kill"),
  open(4, "write"),
  open(6, "read"),
  {
    weight: 16,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      writer: index,
      length,
      times: fc.integer({ min: 1, max: 8 })
    })
  },
  onWriter(12, "publish"),
  onWriter(4, "evict"),
  onWriter(1, "wantRoom"),
  onWriter(1, "closeWriter"),
  {
    weight: 16,
    arbitrary: fc.record({ do: fc.constant("poll" as const), reader: index, max: fc.integer({ min: 1, max: 9 }) })
  },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant("advance" as const),
      reader: index,
      to: fc.array(share, { minLength: 3, maxLength: 3 })
    })
  },
  onReader(6, "rejoin"),
  onReader(1, "closeReader")
)

/** Begins with two processes that write and read; then any commands follow. */
export const commands: fc.Arbitrary<ReadonlyArray<Command>> = fc
  .array(command, { minLength: 20, maxLength: 120, size: "max" })
  .map((rest) => [
    { do: "attach" },
    { do: "attach" },
    { do: "write", process: 0, name: 0 },
    { do: "read", process: 1, name: 0 },
    ...rest
  ])
