/**
 * Random histories of rings, run over two backends side by side: they agree on all visible state, and each keeps the
 * contract of a ring.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { Frame, RingReaderPort, RingWriterPort } from "../../../src/layers/ports/RingPorts.ts"
import { part, type RingProcess, type RingSwarm } from "../../backends/ring.ts"
import type { Command } from "./commands.ts"
import { stamped } from "./stamps.ts"

export const geometry = { processes: 4, rings: 2, ringReaders: 2 }

/**
 * Plays the commands and returns, for each, the state visible afterwards; and how the contract was broken, if it was.
 */
export const history = (commands: ReadonlyArray<Command>) => (swarm: RingSwarm) =>
  Effect.gen(function*() {
    const player = new Player(swarm, yield* swarm.attach("observer"))
    const seen: Array<{ readonly command: Command; readonly result: unknown; readonly state: unknown }> = []
    for (const command of commands) {
      const result = yield* Effect.exit(player.play(command))
      seen.push({
        command,
        result: Exit.isSuccess(result) ? result.value : describeFailure(result),
        state: yield* player.state
      })
    }
    return { seen, broken: player.broken }
  })

// --- internal ---

const describeFailure = (exit: Exit.Failure<unknown, any>): unknown =>
  exit.cause.reasons.map((reason) =>
    reason._tag === "Fail"
      ? { tag: reason.error._tag, fault: reason.error.fault, reason: reason.error.reason }
      : String("defect" in reason ? reason.defect : reason._tag)
  )

interface Process {
  readonly process: RingProcess
  readonly close: Effect.Effect<void>
}

interface Writer {
  readonly of: Process
  readonly port: RingWriterPort
  readonly close: Effect.Effect<void>
}

interface Reader {
  readonly of: Process
  readonly port: RingReaderPort
  readonly close: Effect.Effect<void>
  /** Position of the next frame. */
  next: number
}

class Player {
  broken: string | undefined
  readonly #swarm: RingSwarm
  readonly #observer: RingProcess
  #processes: Array<Process> = []
  #writers: Array<Writer> = []
  #readers: Array<Reader> = []
  #sequence = 0
  /** By ring and end position: the appended frames that no other writer has overwritten. */
  readonly #written = new Map<string, Uint8Array>()

  constructor(swarm: RingSwarm, observer: RingProcess) {
    this.#swarm = swarm
    this.#observer = observer
  }

  play(command: Command): Effect.Effect<unknown, any, Scope.Scope> {
    switch (command.do) {
      case "attach":
        return this.#attach()
      case "detach":
      case "kill":
        return this.#with(this.#processes, command.process, (process) => this.#leave(process, command.do))
      case "write":
        return this.#with(this.#processes, command.process, (process) => this.#openWriter(process, command.name))
      case "read":
        return this.#with(this.#processes, command.process, (process) => this.#openReader(process, command.name))
      case "append":
      case "publish":
      case "evict":
      case "wantRoom":
      case "closeWriter":
        return this.#with(this.#writers, command.writer, (writer) => this.#write(writer, command))
      default:
        return this.#with(this.#readers, command.reader, (reader) => this.#read(reader, command))
    }
  }

  /** Everything that is visible from outside. */
  readonly state = Effect.suspend(() => {
    const { memory, ring } = this.#observer
    return Effect.map(Effect.all([ring.rings, memory.processes]), ([rings, processes]) => ({
      rings: rings.map((state) => [keyless(state), ring.readers(state.ring).map(keyless)]),
      processes: processes.map(({ alive, generation, name, slot }) => ({ slot, generation, name, alive })),
      writers: this.#writers.map(({ port }) => ({
        ring: port.ring,
        generation: port.generation,
        published: port.published(),
        room: [0, 200, 992].map((bytes) => port.hasRoom(bytes)),
        slowest: keyless(port.slowestReader() ?? {})
      })),
      readers: this.#readers.map(({ port }) => ({
        ring: port.ring,
        generation: port.generation(),
        baseline: port.baseline(),
        cursors: port.cursors(),
        ready: port.ready(),
        evicted: port.evicted(),
        ended: port.ended(),
        damage: port.damage()
      }))
    }))
  })

  #with<A>(all: ReadonlyArray<A>, i: number, run: (one: A) => Effect.Effect<unknown, any, Scope.Scope>) {
    const one = all[i % Math.max(1, all.length)]
    return one === undefined ? Effect.void : run(one)
  }

  #attach() {
    return Effect.map(part(this.#swarm.attach(`process ${this.#processes.length}`)), ({ close, port }) => {
      this.#processes.push({ process: port, close })
      return port.ring.self
    })
  }

  // Drops the process from the model, with the ends that it opened.
  #leave(process: Process, how: "detach" | "kill") {
    const mine = ({ of }: { readonly of: Process }) => of === process
    const closing = how === "kill" ? [process.process.kill, process.close] : [
      ...[...this.#writers, ...this.#readers].filter(mine).map(({ close }) => close),
      process.close
    ]
    this.#processes = this.#processes.filter((other) => other !== process)
    this.#writers = this.#writers.filter((writer) => !mine(writer))
    this.#readers = this.#readers.filter((reader) => !mine(reader))
    return Effect.all(closing, { discard: true })
  }

  #openWriter(of: Process, name: number) {
    return Effect.map(part(of.process.ring.openWriter(names[name]!)), ({ close, port }) => {
      this.#writers.push({ of, port, close })
      return [port.ring, port.generation, port.published(), port.payloadBytesMax]
    })
  }

  #openReader(of: Process, name: number) {
    return Effect.map(part(of.process.ring.openReader(names[name]!, `reader ${this.#sequence}`)), ({ close, port }) => {
      this.#readers.push({ of, port, close, next: port.baseline() })
      return [port.ring, port.baseline()]
    })
  }

  #write(writer: Writer, command: Command & { readonly writer: number }): Effect.Effect<unknown> {
    const { close, port } = writer
    if (command.do === "closeWriter") {
      this.#writers = this.#writers.filter((other) => other !== writer)
      return close
    }
    return Effect.sync(() => {
      switch (command.do) {
        case "append":
          return Array.from({ length: command.times }, () => this.#append(port, command.length))
        case "publish":
          return port.publish()
        case "evict":
          return port.evictSlowest()
        default:
          port.wantRoom(true)
          return port.wantRoom(false)
      }
    })
  }

  #append(port: RingWriterPort, length: number): number | undefined {
    const payload = stamped(this.#sequence, length).subarray(0, length)
    this.#sequence += 1
    const flags = this.#sequence % 65_536
    const end = port.append({ ...header, flags, correlation: this.#sequence }, payload)
    if (end !== undefined) this.#written.set(`${port.ring}:${end}`, payload)
    return end
  }

  #read(reader: Reader, command: Command & { readonly reader: number }): Effect.Effect<unknown> {
    const { close, port } = reader
    if (command.do === "closeReader") {
      this.#readers = this.#readers.filter((other) => other !== reader)
      return close
    }
    return Effect.sync(() => {
      if (command.do === "poll") return port.poll(command.max).map((frame) => this.#check(reader, frame))
      if (command.do === "rejoin") {
        if (port.evicted() === undefined) return "not evicted"
        port.rejoin()
        reader.next = port.baseline()
        return port.baseline()
      }
      return command.do === "advance" ? this.#advance(port, command.to) : undefined
    })
  }

  #advance(port: RingReaderPort, [delivered = 0, handled = 0, released = 0]: ReadonlyArray<number>) {
    const before = port.cursors()
    const ahead = (share: number) => Math.round(before.released + share * (before.read - before.released + 8))
    port.advance({ read: 0, delivered: ahead(delivered), handled: ahead(handled), released: ahead(released) })
    const now = port.cursors()
    if (now.delivered < before.delivered || now.handled < before.handled || now.released < before.released) {
      this.broken ??= "a cursor moved back"
    }
    if (now.delivered > now.read || now.handled > now.delivered || now.released > now.read) {
      this.broken ??= "a cursor moved past another"
    }
    return now
  }

  // Checks that frames follow without a gap, with the bytes last written there.
  #check(reader: Reader, { end, payload, ...found }: Frame) {
    const { port } = reader
    const wanted = this.#written.get(`${port.ring}:${end}`)
    const bytes = [...payload]
    if (end !== reader.next + Math.ceil((32 + payload.length) / 8) * 8) this.broken ??= `a gap before ${end}`
    if (wanted?.join() !== bytes.join()) this.broken ??= `the frame that ends at ${end} is not what was written there`
    reader.next = end
    return { ...found, end, bytes }
  }
}

const names = ["a", "b", "c"]

const header = { kind: 16, type: 5, sender: 1, senderGeneration: 2 }

const keyless = (state: object) => Object.entries(state).toSorted(([a], [b]) => a < b ? -1 : 1)
