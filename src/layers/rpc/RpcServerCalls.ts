/**
 * Serves the calls to one service: passes requests to Effect RPC, and its answers to the callers.
 *
 * Signals about calls overtake requests. An interrupt may arrive before its request, so it is kept until every request
 * sent before it has been read.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type { FromClientEncoded, FromServerEncoded } from "effect/rpc/RpcMessage"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { MessageTooLarge, RingFull, SendError } from "../../services/Ring.ts"
import type { ServingCounts } from "../../services/RingRpc.ts"
import { isSame, type MemberId } from "../../services/schema/Member.ts"
import { membershipIn, type Notice } from "../swarm/control/ControlCodec.ts"
import type { SwarmMember } from "../swarm/SwarmMember.ts"
import { frameKind, numberOf, one } from "../swarm/transport/FrameAddress.ts"
import { encodeRejection, type Rejection } from "../swarm/transport/Rejections.ts"
import type { Service } from "../swarm/transport/RequestRouter.ts"
import type { Message } from "../swarm/transport/RingConsumer.ts"
import { EarlyInterrupts } from "./EarlyInterrupts.ts"
import { persisting } from "./persisting.ts"
import type { RpcCodec } from "./RpcCodec.ts"
import type { Run } from "./SerialRunner.ts"

type CallId = string | number
type CallState = "accepting" | "interrupted" | "running"

export interface RpcServerCallsOptions {
  readonly swarmMember: SwarmMember
  readonly wire: RpcCodec
  readonly run: Run
  readonly type: number
  readonly disconnects: Queue.Queue<number>
}

/** Passes a client's message to Effect RPC. */
type Take = (clientId: number, message: FromClientEncoded) => Effect.Effect<void>

/** One client of Effect RPC in another member. */
interface Caller {
  readonly key: string
  readonly clientId: number
  readonly member: MemberId
  readonly number: number
  readonly calls: Map<CallId, CallState>
}

/** How long requests wait for a server that is built but not running yet. */
const startMillis = 1000

const requestKinds = new Set(["Request"] as const)
const signalKinds = new Set(["Ack", "Interrupt", "Eof", "Ping"] as const)

export class RpcServerCalls implements Service {
  readonly #swarmMember: SwarmMember
  readonly #wire: RpcCodec
  readonly #run: Run
  readonly #type: number
  readonly #turn = Semaphore.makeUnsafe(1)
  readonly #isRun = Latch.makeUnsafe(false)
  #take: Take = () => Effect.void
  readonly #callers = new Map<string, Caller>()
  readonly #byId = new Map<number, Caller>()
  readonly #earlyInterrupts: EarlyInterrupts
  readonly #counts = { accepted: 0, refused: 0, withdrawn: 0, undelivered: 0 }
  readonly #disconnects: Queue.Queue<number>
  #clientIds = 0

  constructor({ swarmMember, disconnects, run, type, wire }: RpcServerCallsOptions) {
    this.#swarmMember = swarmMember
    this.#wire = wire
    this.#run = run
    this.#type = type
    this.#disconnects = disconnects
    this.#earlyInterrupts = EarlyInterrupts.of(swarmMember, type)
  }

  get counts(): Omit<ServingCounts, "rejected"> {
    return { ...this.#counts, unreadable: this.#wire.unreadable }
  }

  get clientIds(): ReadonlySet<number> {
    return new Set(this.#byId.keys())
  }

  get inFlight(): number {
    return [...this.#byId.values()].reduce((sum, { calls }) => sum + calls.size, 0)
  }

  get withdrawing(): number {
    return this.#earlyInterrupts.size
  }

  // --- requests ---

  readonly request = (message: Message): Effect.Effect<void> | undefined =>
    this.#isRun.isOpen() ? this.#accept(message) : this.#hold({ ...message, payload: message.payload.slice() })

  // Holds the requests that arrive before the server runs, in their order.
  #hold(message: Message): Effect.Effect<void> {
    const isRun = Effect.as(this.#isRun.await, true)
    return Effect.flatMap(
      Effect.timeoutOrElse(isRun, { duration: startMillis, orElse: () => Effect.succeed(false) }),
      (isRun) => isRun ? this.#accept(message) ?? Effect.void : this.#giveBack(message, "unserved")
    )
  }

  #accept(message: Message): Effect.Effect<void> | undefined {
    const member = senderOf(message)
    if (this.#swarmMember.over) return this.#giveBack(message, "departing")
    if (!this.#knows(member)) return this.#giveBack(message, "stranger")
    const request = this.#wire.decode(message.payload, requestKinds)
    if (request === undefined) return this.#giveBack(message, "unreadable")
    const number = numberOf(message.correlation)
    const key = keyOf(member, number)
    if (this.#earlyInterrupts.has(key, request.id)) {
      this.#counts.withdrawn += 1
      return undefined
    }
    const caller = this.#callers.get(key) ?? this.#open(key, member, number)
    caller.calls.set(request.id, "accepting")
    this.#counts.accepted += 1
    return this.#accepted(caller, request.id, this.#take(caller.clientId, request))
  }

  // A cause other than this fiber's own interruption means that Effect RPC takes no more requests.
  #accepted(caller: Caller, id: CallId, write: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.matchCauseEffect(write, {
      onSuccess: () => {
        const state = caller.calls.get(id)
        if (state === "accepting") caller.calls.set(id, "running")
        return state === "interrupted" ? this.#interrupt(caller, id) : Effect.void
      },
      onFailure: () => Effect.sync(() => this.#closed(caller, id))
    })
  }

  // Apply pending notices before refusing a caller: it may have just joined.
  #knows(member: MemberId): boolean {
    const { coordinator } = this.#swarmMember
    if (coordinator.membership.find(member) !== undefined) return true
    coordinator.catchUp()
    return coordinator.membership.find(member) !== undefined
  }

  #giveBack(message: Message, reason: Parameters<SwarmMember["router"]["giveBack"]>[1]): Effect.Effect<void> {
    this.#counts.refused += 1
    return this.#swarmMember.router.giveBack(message, reason)
  }

  #open(key: string, member: MemberId, number: number): Caller {
    const caller: Caller = { key, clientId: this.#clientIds++, member, number, calls: new Map() }
    this.#callers.set(key, caller)
    this.#byId.set(caller.clientId, caller)
    return caller
  }

  // --- signals ---

  readonly signal = (message: Message): void => {
    const signal = this.#wire.decode(message.payload, signalKinds)
    if (signal === undefined || signal._tag === "Ping") return
    const key = keyOf(senderOf(message), numberOf(message.correlation))
    const caller = this.#callers.get(key)
    if (signal._tag === "Eof") {
      this.#earlyInterrupts.add(message.sender, key, "all")
      if (caller !== undefined) this.#disconnect(caller)
      return
    }
    const state = caller?.calls.get(signal.requestId)
    if (caller === undefined || state === undefined) {
      if (signal._tag === "Interrupt") this.#earlyInterrupts.add(message.sender, key, signal.requestId)
    } else if (signal._tag === "Ack") {
      this.#run(this.#take(caller.clientId, signal))
    } else if (state === "running") {
      this.#run(this.#interrupt(caller, signal.requestId))
    } else {
      caller.calls.set(signal.requestId, "interrupted")
    }
  }

  #interrupt({ clientId }: Caller, requestId: CallId): Effect.Effect<void> {
    return this.#take(clientId, { _tag: "Interrupt", requestId })
  }

  // --- answers ---

  readonly send = (clientId: number, response: FromServerEncoded): Effect.Effect<void> =>
    Effect.suspend(() => {
      const caller = this.#byId.get(clientId)
      if (caller === undefined) return Effect.void
      if (response._tag === "Exit" && !caller.calls.delete(response.requestId)) return Effect.void
      if (response._tag === "Chunk" && !caller.calls.has(response.requestId)) return Effect.void
      const payload = this.#wire.encode(response)
      if (payload === undefined) return Effect.void
      return Effect.catch(
        this.#swarmMember.mesh.reply(frameKind.response, this.#type, one(caller.member), payload, caller.number),
        (error) => this.#undelivered(caller, response, error)
      )
    })

  // Fail a stream after a lost chunk, so that Effect RPC interrupts it: it must not continue with a gap.
  #undelivered(caller: Caller, response: FromServerEncoded, error: SendError): Effect.Effect<void> {
    if (error._tag === "RegionLost" || error._tag === "RingClosed") return Effect.void
    this.#counts.undelivered += 1
    const id = "requestId" in response ? response.requestId : null
    if (id !== null) caller.calls.delete(id)
    this.#refuse(caller, { _tag: "Undelivered", id, why: error satisfies MessageTooLarge | RingFull })
    return response._tag === "Chunk" ? Effect.die(error) : Effect.void
  }

  // Send it even if this server is closed before there is room: the caller waits for it.
  #refuse({ member, number }: Caller, refusal: Rejection): void {
    const payload = encodeRejection(refusal)
    this.#swarmMember.run(
      persisting(this.#swarmMember.mesh.reply(frameKind.refusal, this.#type, one(member), payload, number))
    )
  }

  // --- the end ---

  #closed(caller: Caller, id: CallId): void {
    if (caller.calls.delete(id)) this.#refuse(caller, { _tag: "Closed", id })
  }

  /** Passes requests to Effect RPC through `take`, until interrupted. */
  readonly run = (take: Take): Effect.Effect<never> =>
    this.#turn.withPermits(1)(Effect.suspend(() => {
      this.#take = take
      this.#isRun.openUnsafe()
      return Effect.ensuring(Effect.never, Effect.sync(() => this.close()))
    }))

  /** Stops serving, and tells each caller that waits for an answer that none will come. */
  close(): void {
    this.#isRun.closeUnsafe()
    for (const caller of this.#byId.values()) {
      for (const id of caller.calls.keys()) this.#closed(caller, id)
      this.#forget(caller)
    }
  }

  #disconnect(caller: Caller): void {
    this.#forget(caller)
    Queue.offerUnsafe(this.#disconnects, caller.clientId)
  }

  #forget({ clientId, key }: Caller): void {
    this.#callers.delete(key)
    this.#byId.delete(clientId)
  }

  // --- departures ---

  /** Ends the calls of members that depart, until the scope closes. */
  readonly watched: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
    Effect.sync(() => {
      const { coordinator } = this.#swarmMember
      const stops = [
        coordinator.onNotice((notice) => this.#heed(notice)),
        this.#swarmMember.onTick(() => this.#sweep())
      ]
      this.#run(Effect.catch(coordinator.lost, () => Effect.sync(() => this.#disconnectAll(() => true))))
      return stops
    }),
    (stops) =>
      Effect.sync(() => {
        for (const stop of stops) stop()
      })
  ).pipe(Effect.asVoid)

  #heed(notice: Notice): void {
    const { coordinator, self } = this.#swarmMember
    if (notice._tag === "Departed") {
      const isSelf = isSame(notice.member, self.id)
      this.#disconnectAll(({ member }) => isSelf || isSame(member, notice.member))
    }
    // After missed notices the coordinator sends the whole membership: find departures by comparison.
    if (membershipIn(notice) !== undefined) {
      this.#disconnectAll(({ member }) => coordinator.membership.find(member) === undefined)
    }
  }

  // Without a coordinator no notice reports a departure: ask the operating system.
  #sweep(): void {
    this.#disconnectAll(({ calls, member }) =>
      calls.size > 0 && !this.#swarmMember.ring.isAlive(member.slot, member.generation)
    )
  }

  #disconnectAll(which: (caller: Caller) => boolean): void {
    for (const caller of [...this.#byId.values()].filter(which)) this.#disconnect(caller)
  }
}

const senderOf = ({ sender, senderGeneration }: Message): MemberId => ({ slot: sender, generation: senderGeneration })

const keyOf = ({ generation, slot }: MemberId, number: number): string => `${slot}.${generation}.${number}`
