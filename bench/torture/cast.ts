/**
 * Who takes part: one server and its standbys, publishers, subscribers. A part that was killed is started again.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { join } from "node:path"
import { type Journal, journalFrom } from "./journal.ts"
import { type NotRecovered, type Part, startPart, startServer, until } from "./processes.ts"
import type { Choose } from "./random.ts"

/** The first of them has an identity. */
const publishers = 3
const subscribers = 2
const standbys = 2
const skewMillis = 25

/** How long a server that is stopped is tolerated. */
const suspect = "500ms"

/** Publishers are stopped for longer than that: so some of them have to resume. */
const lease = "300ms"

export class Cast {
  readonly region: string
  readonly folder: string
  readonly publishers: Array<Part> = []
  readonly subscribers: Array<Part> = []
  /** The one that serves, and those that stand by. */
  readonly servers: Array<Part> = []
  /** Publishers that publish late. */
  delayed = 0
  readonly #choose: Choose
  readonly #journals: Array<{ readonly name: string; readonly path: string }> = []
  #started = 0

  constructor(region: string, folder: string, choose: Choose) {
    this.region = region
    this.folder = folder
    this.#choose = choose
  }

  /** Starts all: the first server creates the region, and the others find it. */
  readonly start: Effect.Effect<void, NotRecovered, Scope.Scope> = Effect.suspend(() => this.#start())

  /** The part that serves: the last one that said so and lives. */
  server(): Part | undefined {
    return this.servers.findLast((server) => server.ended === undefined && this.hasServed(server))
  }

  hasServed(server: Part): boolean {
    return server.text.includes("\"_tag\":\"Serving\"")
  }

  readonly startStandby: Effect.Effect<Part, NotRecovered, Scope.Scope> = Effect.suspend(() =>
    Effect.tap(
      this.#startServer(),
      (part) => until(`${part.name} stands by`, () => /"_tag":"(StandingBy|Serving)"/.test(part.text))
    )
  )

  startPublisher(publisher: number): Effect.Effect<Part, NotRecovered, Scope.Scope> {
    this.#started += 1
    const name = `publisher-${publisher}.${this.#started}`
    // Of the one with an identity all processes number their records together.
    const numbering = publisher === 0 ? { life: 0, identity: "torture" } : { life: this.#started }
    // Every seed makes the first publisher late: so each run has late publication.
    const isDelayed = this.#choose(2) === 0 || this.delayed === 0
    if (isDelayed) this.delayed += 1
    const job = { ...this.#job(name), publisher, ...numbering, skewMillis: isDelayed ? skewMillis : 0 }
    return Effect.tap(startPart(this.folder, "publisher", job), (part) => {
      this.publishers[publisher] = part
      return until(`the first acknowledgement of ${name}`, () => part.reached > 0 || part.ended !== undefined)
    })
  }

  /** It goes on where the process before it has read to. */
  startSubscriber(subscriber: number): Effect.Effect<Part, NotRecovered, Scope.Scope> {
    this.#started += 1
    const name = `subscriber-${subscriber}.${this.#started}`
    const position = positionIn(this.#journalsOf(`subscriber-${subscriber}.`))
    return Effect.tap(startPart(this.folder, "subscriber", { ...this.#job(name), position }), (part) => {
      this.subscribers[subscriber] = part
      return until(`${name} attaches`, () => part.reached >= position && part.text === "" && this.#hasAttached(name))
    })
  }

  /** A publisher or a subscriber that has ended although no fault ended it. */
  endedEarly(): string | undefined {
    const part = [...this.publishers, ...this.subscribers].find(({ ended }) => ended !== undefined)
    return part === undefined ? undefined : `${part.name} has ended: ${part.ended}, ${part.text}`
  }

  /** The position that the subscribers have read to. */
  lastRead(): number {
    return Math.max(0, ...this.subscribers.map(({ reached }) => reached))
  }

  /** What all processes wrote down, in the order in which they were started. */
  journals(): ReadonlyArray<Journal> {
    return this.#journalsOf("")
  }

  #journalsOf(prefix: string): ReadonlyArray<Journal> {
    return this.#journals.filter(({ name }) => name.startsWith(prefix)).map(({ name, path }) => journalFrom(name, path))
  }

  #hasAttached(name: string): boolean {
    return this.#journalsOf(name).some(({ entries }) => entries.length > 0)
  }

  #job(name: string) {
    const path = join(this.folder, `${name}.jsonl`)
    this.#journals.push({ name, path })
    return { region: this.region, name, journal: path, seed: this.#choose(2 ** 31) }
  }

  #start = Effect.fnUntraced(function*(this: Cast) {
    const server = yield* this.#startServer()
    yield* until("a server", () => this.hasServed(server))
    for (let i = 0; i < standbys; i += 1) yield* this.startStandby
    for (let i = 0; i < subscribers; i += 1) yield* this.startSubscriber(i)
    for (let i = 0; i < publishers; i += 1) yield* this.startPublisher(i)
  })

  #startServer() {
    this.#started += 1
    const sizes = ["--brokers", "4", "--clients", "8", "--lane-bytes", "256KiB", "--batch-bytes", "16KiB"]
    const args = [
      "serve",
      "--region",
      this.region,
      "--standby",
      "--keep",
      "--takeover-suspect",
      suspect,
      "--lease",
      lease,
      "--json"
    ]
    const all = [...args, ...sizes, "--topic", "torture:session:ordered"]
    return Effect.tap(
      startServer(this.folder, `server-${this.#started}`, all),
      (part) => Effect.sync(() => void this.servers.push(part))
    )
  }
}

// --- internal ---

const positionIn = (journals: ReadonlyArray<Journal>): number => {
  let position = 0
  for (const { entries } of journals) {
    for (const entry of entries) {
      if (entry._tag === "Attached") position = entry.position
      if (entry._tag === "Run") position = entry.position + entry.records
    }
  }
  return position
}
