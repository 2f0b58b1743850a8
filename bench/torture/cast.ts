/**
 * Who takes part: one server and its standbys, replicas, publishers, subscribers, the holder of a cursor. A part that was
 * killed is started again.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { join } from "node:path"
import {
  type DiskJob,
  type DiskPlant,
  type HolderJob,
  isDiskPlant,
  isReaderPlant,
  type LaggardJob,
  type Plant,
  type PublisherJob,
  StoredTopic,
  type SubscriberJob,
  TortureTopic
} from "./jobs.ts"
import { type Journal, journalFrom, journalTo, type Write } from "./journal.ts"
import { type NotRecovered, type Part, startOnDisk, startPart, startServer, until } from "./processes.ts"
import type { Choose } from "./random.ts"

/** By number, with their topics. The first of each topic has an identity. */
const publisherTopics = ["torture", "torture", "torture", "stored", "stored"]
/** By number. What the last one reads is ordered, and may not be durable yet. */
const subscriberTopics = ["torture", "torture", "stored"]
/** By number: readers that memory does not wait for. */
export const laggards: ReadonlyArray<{ readonly topic: string; readonly lag: LaggardJob["lag"] }> = [
  { topic: TortureTopic.name, lag: "lapped" },
  { topic: StoredTopic.name, lag: "history" }
]
const standbys = 2
const skewMillis = 25

/** As much as a publisher sends at once, and how long it pauses behind that: disks of two replicas have time for it. */
export const paces: Readonly<Record<string, { readonly burstMost: number; readonly pauseMost: number }>> = {
  torture: { burstMost: 200, pauseMost: 10 },
  stored: { burstMost: 40, pauseMost: 40 }
}

/** How long a server that is stopped is tolerated. */
const suspect = "500ms"

/** Publishers are stopped for longer than that: so some of them have to resume. */
const lease = "300ms"

export const replicaNames = ["a", "b"] as const
export type ReplicaName = typeof replicaNames[number]

export class Cast {
  readonly region: string
  readonly folder: string
  readonly publishers: Array<Part> = []
  readonly subscribers: Array<Part> = []
  readonly laggards: Array<Part> = []
  readonly replicas = new Map<ReplicaName, Part>()
  /** The one that serves, and those that stand by. */
  readonly servers: Array<Part> = []
  holder: Part | undefined
  /** Publishers that publish late. */
  delayed = 0
  /** What the program that tortures writes down itself. */
  readonly write: Write
  readonly #choose: Choose
  readonly #plant: Plant | undefined
  readonly #journals: Array<{ readonly name: string; readonly path: string }> = []
  #started = 0

  constructor(region: string, folder: string, choose: Choose, plant: Plant | undefined) {
    this.region = region
    this.folder = folder
    this.#choose = choose
    this.#plant = plant
    this.write = journalTo(this.journalFor("conductor"))
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

  directory(replica: ReplicaName): string {
    return join(this.folder, `replica-${replica}`)
  }

  /** The path of another journal, which the verdict reads. */
  journalFor(name: string): string {
    const path = join(this.folder, `${name}.jsonl`)
    this.#journals.push({ name, path })
    return path
  }

  readonly startStandby: Effect.Effect<Part, NotRecovered, Scope.Scope> = Effect.suspend(() =>
    Effect.tap(
      this.#startServer(),
      (part) => until(`${part.name} stands by`, () => /"_tag":"(StandingBy|Serving)"/.test(part.text))
    )
  )

  /** A server that restores the log from the files of a replica, in a region that is not there, and writes both until it ends. */
  startRestoring(from: ReplicaName): Effect.Effect<Part, NotRecovered, Scope.Scope> {
    this.#started += 1
    const name = `server-${this.#started}`
    const dirs = replicaNames.flatMap((replica) =>
      replica === from ? ["--restore", this.directory(replica)] : ["--replica", this.directory(replica)]
    )
    const args = [...this.#serving(), ...fileArgs, "--durable-copies", "2", ...dirs]
    return startOnDisk(this.folder, name, args, this.#diskJob(name, replicaNames, this.#diskPlant)).pipe(
      Effect.tap((part) => {
        this.servers.push(part)
        return until(`${name} serves what it restored`, () => this.hasServed(part) || part.ended !== undefined)
      })
    )
  }

  startReplica(replica: ReplicaName): Effect.Effect<Part, NotRecovered, Scope.Scope> {
    this.#started += 1
    const name = `replica-${replica}.${this.#started}`
    const peers = replicaNames.flatMap((other) => other === replica ? [] : ["--peer", this.directory(other)])
    const args = ["replica", "--region", this.region, "--json", ...fileArgs, ...peers, this.directory(replica)]
    const plant = this.#diskPlant === "reused" ? undefined : this.#diskPlant
    return Effect.tap(startOnDisk(this.folder, name, args, this.#diskJob(name, [replica], plant)), (part) => {
      this.replicas.set(replica, part)
      return until(`${name} is in sync`, () => conditionOf(part) === "in sync" || part.ended !== undefined)
    })
  }

  startPublisher(publisher: number): Effect.Effect<Part, NotRecovered, Scope.Scope> {
    this.#started += 1
    const name = `publisher-${publisher}.${this.#started}`
    const topic = publisherTopics[publisher] as string
    const isNamed = publisherTopics.indexOf(topic) === publisher
    // Of one with an identity all processes number their records together.
    const numbering = isNamed ? { life: 0, identity: "torture" } : { life: this.#started }
    // Every seed makes the first publisher late: so each run has late publication.
    const isDelayed = this.#choose(2) === 0 || this.delayed === 0
    if (isDelayed) this.delayed += 1
    const job: PublisherJob = {
      ...this.#job(name, topic),
      publisher,
      ...numbering,
      ...paces[topic] as { burstMost: number; pauseMost: number },
      skewMillis: isDelayed ? skewMillis : 0
    }
    return Effect.tap(startPart(this.folder, "publisher", job), (part) => {
      this.publishers[publisher] = part
      return until(`the first acknowledgement of ${name}`, () => part.reached > 0 || part.ended !== undefined)
    })
  }

  /** It goes on where the process before it has read to. */
  startSubscriber(subscriber: number): Effect.Effect<Part, NotRecovered, Scope.Scope> {
    this.#started += 1
    const name = `subscriber-${subscriber}.${this.#started}`
    const place = placeIn(this.#journalsOf(`subscriber-${subscriber}.`))
    const job: SubscriberJob = { ...this.#job(name, subscriberTopics[subscriber] as string), ...place }
    return Effect.tap(startPart(this.folder, "subscriber", job), (part) => {
      this.subscribers[subscriber] = part
      return until(`${name} attaches`, () => this.#hasAttached(name) || part.ended !== undefined)
    })
  }

  /** It goes on exactly where the process before it was. */
  startLaggard(laggard: number): Effect.Effect<Part, NotRecovered, Scope.Scope> {
    this.#started += 1
    const { lag, topic } = laggards[laggard]!
    const name = `${lag}-${laggard}.${this.#started}`
    const { position, regionId } = this.placeOfLaggard(laggard)
    const plant = this.#plant !== undefined && isReaderPlant(this.#plant) ? { plant: this.#plant } : {}
    const job: LaggardJob = {
      ...this.#job(name, topic),
      position,
      regionId,
      history: lag === "history" ? this.#directories : [],
      lag,
      ...plant
    }
    return Effect.tap(startPart(this.folder, "laggard", job), (part) => {
      this.laggards[laggard] = part
      return until(`${name} attaches`, () => this.#hasAttached(name) || part.ended !== undefined)
    })
  }

  /** Where its processes have written down that they came to, and how many gaps they were told. */
  placeOfLaggard(laggard: number) {
    const { lag } = laggards[laggard]!
    const journals = this.#journalsOf(`${lag}-${laggard}.`)
    const gaps = journals.flatMap(({ entries }) => entries).filter(({ _tag }) => _tag === "Gap").length
    return { ...placeIn(journals, lag === "history"), gaps }
  }

  readonly startHolder: Effect.Effect<Part, NotRecovered, Scope.Scope> = Effect.suspend(() => {
    this.#started += 1
    const name = `holder.${this.#started}`
    const job: HolderJob = { ...this.#job(name, StoredTopic.name), history: this.#directories }
    return Effect.tap(startPart(this.folder, "holder", job), (part) => {
      this.holder = part
      return until(`${name} attaches`, () => this.#hasAttached(name) || part.ended !== undefined)
    })
  })

  /** Reads all that is durable once more, from the first record: from files, and behind them from memory. */
  readonly startWitness: Effect.Effect<Part, NotRecovered, Scope.Scope> = Effect.suspend(() => {
    const job: SubscriberJob = {
      ...this.#job("witness", StoredTopic.name),
      history: this.#directories,
      position: 0,
      regionId: ""
    }
    return startPart(this.folder, "subscriber", job)
  })

  readersOf(topic: string): ReadonlyArray<Part> {
    return [
      ...this.subscribers.filter((_, i) => subscriberTopics[i] === topic),
      ...this.laggards.filter((_, i) => laggards[i]?.topic === topic)
    ]
  }

  /** Clients of the ordered topic, and of the durable one. */
  clientsOf(topic: string): ReadonlyArray<Part> {
    return [
      ...this.publishers.filter((_, i) => publisherTopics[i] === topic),
      ...this.readersOf(topic),
      ...this.holder !== undefined && topic === StoredTopic.name ? [this.holder] : []
    ]
  }

  get clients(): ReadonlyArray<Part> {
    return [TortureTopic, StoredTopic].flatMap(({ name }) => this.clientsOf(name))
  }

  topicOf(reader: Part): string {
    return this.clientsOf(TortureTopic.name).includes(reader) ? TortureTopic.name : StoredTopic.name
  }

  get living(): ReadonlyArray<Part> {
    return [...this.servers, ...this.replicas.values(), ...this.clients].filter(({ ended }) => ended === undefined)
  }

  /** A client or a replica that has ended although no fault ended it. */
  endedEarly(): string | undefined {
    const part = [...this.clients, ...this.replicas.values()].find(({ ended }) => ended !== undefined)
    return part === undefined ? undefined : `${part.name} has ended: ${part.ended}, ${part.text}`
  }

  /** What replicas have said of files that they cannot go on with. */
  unfit(): ReadonlyArray<{ readonly replica: string; readonly what: string }> {
    return [...this.replicas.values(), ...this.servers].flatMap(({ text }) =>
      text.split("\n").slice(0, -1).filter((line) => unfit.test(line)).map((line) => {
        const { condition, detail, dir } = JSON.parse(line)
        return { replica: dir, what: `${condition}: ${detail}` }
      })
    )
  }

  /** What all processes wrote down, in the order in which they were started. */
  journals(): ReadonlyArray<Journal> {
    return this.#journalsOf("")
  }

  get #directories(): ReadonlyArray<string> {
    return replicaNames.map((replica) => this.directory(replica))
  }

  get #diskPlant(): DiskPlant | undefined {
    return this.#plant !== undefined && isDiskPlant(this.#plant) ? this.#plant : undefined
  }

  #journalsOf(prefix: string): ReadonlyArray<Journal> {
    return this.#journals.filter(({ name }) => name.startsWith(prefix)).map(({ name, path }) => journalFrom(name, path))
  }

  #hasAttached(name: string): boolean {
    return this.#journalsOf(name).some(({ entries }) => entries.some(({ _tag }) => _tag === "Attached"))
  }

  #job(name: string, topic: string) {
    const journal = this.journalFor(name)
    return { region: this.region, name, journal, seed: this.#choose(2 ** 31), topic, history: [] }
  }

  #diskJob(name: string, replicas: ReadonlyArray<ReplicaName>, plant: DiskPlant | undefined): DiskJob {
    const on = replicas.map((replica) => ({
      name: replica,
      dir: this.directory(replica),
      journal: this.journalFor(`${name}.disk-${replica}`)
    }))
    return { replicas: on, ...plant === undefined ? {} : { plant } }
  }

  #start = Effect.fnUntraced(function*(this: Cast) {
    const all = { concurrency: "unbounded" } as const
    const server = yield* this.#startServer()
    yield* until("a server", () => this.hasServed(server))
    const standing = Array.from({ length: standbys }, () => this.startStandby)
    yield* Effect.all([...replicaNames.map((replica) => this.startReplica(replica)), ...standing], all)
    const readers = [
      ...subscriberTopics.map((_, i) => this.startSubscriber(i)),
      ...laggards.map((_, i) => this.startLaggard(i))
    ]
    yield* Effect.all([...readers, this.startHolder], all)
    yield* Effect.all(publisherTopics.map((_, i) => this.startPublisher(i)), all)
  })

  #startServer() {
    this.#started += 1
    const args = [...this.#serving(), "--standby", "--takeover-suspect", suspect]
    return Effect.tap(
      startServer(this.folder, `server-${this.#started}`, args),
      (part) => Effect.sync(() => void this.servers.push(part))
    )
  }

  #serving(): ReadonlyArray<string> {
    const sizes = ["--brokers", "4", "--clients", "12", "--lane-bytes", "256KiB", "--batch-bytes", "16KiB"]
    const topics = [TortureTopic, StoredTopic].flatMap(({ ack, name, order }) => ["--topic", `${name}:${order}:${ack}`])
    return ["serve", "--region", this.region, "--keep", "--lease", lease, "--json", ...sizes, ...topics]
  }
}

/** The condition of a replica that it has told last. */
export const conditionOf = ({ text }: Part): string | undefined =>
  text.split("\n").findLast((line) => line.includes("\"ReplicaChanged\""))?.match(/"condition":"([^"]*)"/)?.[1]

// --- internal ---

/** Without another replica's help, which there is none to give. */
const unfit = /"ReplicaChanged".*"condition":"(damaged|lapped)"/

/** Small segments, so that a run has many. */
const fileArgs = ["--replica-segment-bytes", "1MiB"]

/**
 * Where a reader's journals end: the region, and the position behind the last record or gap. `isDurable`: in another region
 * it goes on there, and does not begin anew.
 */
const placeIn = (journals: ReadonlyArray<Journal>, isDurable = false) => {
  let [position, regionId] = [0, ""]
  for (const { entries } of journals) {
    for (const entry of entries) {
      if (entry._tag === "Joined" && entry.region !== regionId) {
        regionId = entry.region
        if (!isDurable) position = 0
      }
      if (entry._tag === "Attached") position = entry.position
      if (entry._tag === "Run") position = entry.position + entry.records
      if (entry._tag === "Gap") position = entry.to
    }
  }
  return { position, regionId }
}
