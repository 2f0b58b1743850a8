/**
 * Makes the calls of one member to a service. Keeps each until it is answered or interrupted, or until its callee is
 * gone.
 *
 * A call fails through its `send`, which lasts as long as the call: so its failure is typed and affects no other call.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { RpcClientDefect, RpcClientError } from "effect/rpc/RpcClientError"
import type { FromClientEncoded, FromServerEncoded, RequestEncoded } from "effect/rpc/RpcMessage"
import type * as Scope from "effect/Scope"
import { NameMissing } from "../../services/Coordinator.ts"
import { waitMillis } from "../../services/input/DurationInput.ts"
import { MessageTooLarge } from "../../services/Ring.ts"
import {
  type CallError,
  CallRefused,
  CallTimedOut,
  CallUnreadable,
  ClientClosed,
  Deadline
} from "../../services/RingRpc.ts"
import { isSame, type MemberId, type MemberInfo, ShuttingDown } from "../../services/schema/Member.ts"
import { typeHash } from "../../services/schema/TypeHash.ts"
import type { Notice } from "../swarm/control/ControlCodec.ts"
import type { SwarmMember } from "../swarm/SwarmMember.ts"
import { type Alarm, DeadlineTimer } from "../swarm/transport/DeadlineTimer.ts"
import { frameKind, one, ringNames } from "../swarm/transport/FrameAddress.ts"
import { decodeRejection, type Rejection, returnedBytesMax } from "../swarm/transport/Rejections.ts"
import type { Message } from "../swarm/transport/RingConsumer.ts"
import { persisting } from "./persisting.ts"
import type { RpcCodec } from "./RpcCodec.ts"
import { type Run, SerialRunner } from "./SerialRunner.ts"

/** The callee of a call: one member, or the member that has published the name when the call is made. */
export type Callee = { readonly member: MemberId } | { readonly name: string }

type Write = (clientId: number, answer: FromServerEncoded) => Effect.Effect<void>

export interface RpcClientCallsOptions {
  readonly swarmMember: SwarmMember
  readonly wire: RpcCodec
  readonly run: Run
  readonly write: Write
  readonly service: string
  readonly to: Callee
  readonly deadlineMillis: number
  readonly alarm: Alarm
}

type CallId = string | number
type Complete = (ended: Effect.Effect<void, RpcClientError>) => void

interface Call {
  readonly caller: Caller
  readonly id: CallId
  readonly member: MemberId
  readonly procedure: string
  readonly deadlineMillis: number
  readonly untilMillis: number
  readonly answers: SerialRunner
  /** Resumes the caller, once. */
  complete: Complete
  /** Whether the first answer has arrived: the deadline then no longer counts. */
  begun: boolean
}

/** One client of Effect RPC. */
interface Caller {
  readonly clientId: number
  readonly number: number
  readonly close: () => void
  readonly calls: Map<CallId, Call>
  /** The members it has called, by slot. */
  readonly called: Map<number, MemberId>
}

const answerKinds = new Set(["Chunk", "Exit", "Defect", "Pong"] as const)
const requestKinds = new Set(["Request"] as const)

export class RpcClientCalls {
  readonly #swarmMember: SwarmMember
  readonly #wire: RpcCodec
  readonly #run: Run
  readonly #write: Write
  readonly #service: string
  readonly #type: number
  readonly #to: Callee
  readonly #deadlineMillis: number
  readonly #deadlines: DeadlineTimer
  readonly #callers = new Map<number, Caller>()
  #late = 0
  #isClosed = false

  constructor({ alarm, swarmMember, deadlineMillis, run, service, to, wire, write }: RpcClientCallsOptions) {
    this.#swarmMember = swarmMember
    this.#wire = wire
    this.#run = run
    this.#write = write
    this.#service = service
    this.#type = typeHash(service)
    this.#to = to
    this.#deadlineMillis = deadlineMillis
    this.#deadlines = new DeadlineTimer(swarmMember.clock, alarm, (nowMillis) => this.#expire(nowMillis))
  }

  get late(): number {
    return this.#late
  }

  get inFlight(): number {
    return this.#calls.length
  }

  send(clientId: number, message: FromClientEncoded): Effect.Effect<void, RpcClientError> {
    switch (message._tag) {
      case "Request":
        return Effect.withFiber((fiber) => {
          const deadline = fiber.getRef(Deadline)
          if (deadline === undefined) return this.#request(clientId, message, this.#deadlineMillis)
          return waitMillis("deadline", deadline).pipe(
            Effect.mapError(failureOf),
            Effect.flatMap((deadlineMillis) => this.#request(clientId, message, deadlineMillis))
          )
        })
      case "Ack":
        return Effect.suspend(() => this.#acknowledge(this.#find(clientId, message.requestId), message))
      case "Interrupt":
        return Effect.sync(() => this.#abandon(this.#find(clientId, message.requestId)))
      default:
        return Effect.void
    }
  }

  /** Closes a client: fails its calls, and tells each member that serves it. */
  closeCaller(clientId: number): void {
    const caller = this.#callers.get(clientId)
    if (caller === undefined) return
    this.#callers.delete(clientId)
    caller.close()
    for (const call of caller.calls.values()) this.#fail(call, new ClientClosed({ service: this.#service }))
    for (const member of caller.called.values()) this.#tell(member, caller.number, { _tag: "Eof" })
  }

  /** Fails the calls to members that depart, until the scope closes: then all calls fail. */
  readonly watched: Effect.Effect<void, never, Scope.Scope> = Effect.acquireRelease(
    Effect.sync(() => {
      const stops = [
        this.#swarmMember.coordinator.onNotice((notice) => this.#heed(notice)),
        this.#swarmMember.onTick(() => this.#sweep())
      ]
      this.#run(Effect.catch(this.#swarmMember.coordinator.lost, (lost) => Effect.sync(() => this.#failAll(lost))))
      return stops
    }),
    (stops) =>
      Effect.sync(() => {
        for (const stop of stops) stop()
        this.#isClosed = true
        for (const clientId of this.#callers.keys()) this.closeCaller(clientId)
      })
  ).pipe(Effect.asVoid)

  // --- calling ---

  // One step: an interruption between registering the call and waiting for its end would leave the call registered.
  #request(
    clientId: number,
    request: RequestEncoded,
    deadlineMillis: number
  ): Effect.Effect<void, RpcClientError> {
    return Effect.callback((complete) => {
      const callee = this.#callee()
      if (!("id" in callee)) return complete(Effect.fail(failureOf(callee)))
      const member = callee.id
      const payload = this.#encoded(request, member)
      if (!(payload instanceof Uint8Array)) return complete(Effect.fail(failureOf(payload)))
      const call = this.#begin(clientId, request, member, deadlineMillis, complete)
      const to = one(member)
      const isSent = this.#swarmMember.mesh.offer(frameKind.request, this.#type, to, payload, call.caller.number)
      if (!isSent) complete(this.#sendSlowly(call, payload))
      return Effect.sync(() => this.#abandon(call))
    })
  }

  #callee(): MemberInfo | CallError {
    const { coordinator, over } = this.#swarmMember
    const to = this.#to
    if (this.#isClosed) return new ClientClosed({ service: this.#service })
    if (over) return new ShuttingDown()
    if (coordinator.state === "over") return coordinator.lossBy("died")
    // Apply pending notices first, so that a callee known to another member is known here too.
    coordinator.catchUp()
    if ("name" in to) return coordinator.membership.resolve(to.name) ?? new NameMissing({ requested: to.name })
    return coordinator.membership.find(to.member) ?? coordinator.membership.lossOf(to.member)
  }

  // A request that the callee returns gets a longer header, and must still fit a message.
  #encoded(request: RequestEncoded, member: MemberId): Uint8Array | CallError {
    const { mesh, resolved } = this.#swarmMember
    const payload = this.#wire.encode(request)
    if (payload === undefined) {
      const part = { part: "request", request: `${request.id}` } as const
      return new CallUnreadable({ service: this.#service, ...this.#named(member), ...part })
    }
    const limitBytes = resolved.messageBytesMax - returnedBytesMax
    if (payload.length <= limitBytes) return payload
    return new MessageTooLarge({ ring: ringNames.events(mesh.self.slot), messageBytes: payload.length, limitBytes })
  }

  #begin(
    clientId: number,
    { id, tag }: RequestEncoded,
    member: MemberId,
    deadlineMillis: number,
    complete: Complete
  ): Call {
    const caller = this.#callers.get(clientId) ?? this.#open(clientId)
    const untilMillis = this.#deadlines.nowMillis + deadlineMillis
    const answers = new SerialRunner(this.#run)
    const call: Call = {
      caller,
      id,
      member,
      procedure: tag,
      deadlineMillis,
      untilMillis,
      answers,
      complete,
      begun: false
    }
    caller.calls.set(id, call)
    caller.called.set(member.slot, member)
    this.#deadlines.add(untilMillis)
    return call
  }

  #open(clientId: number): Caller {
    const taken = this.#swarmMember.router.call((message) => this.#take(caller, message))
    const caller: Caller = { clientId, ...taken, calls: new Map(), called: new Map() }
    this.#callers.set(clientId, caller)
    return caller
  }

  // Wait for room only while the call lasts: it ends at once when the callee departs.
  #sendSlowly(call: Call, payload: Uint8Array): Effect.Effect<void, RpcClientError> {
    const { caller, member } = call
    const resolved = Deferred.makeUnsafe<void, RpcClientError>()
    call.complete = (ended) => void Deferred.doneUnsafe(resolved, ended)
    const ended = Deferred.await(resolved)
    const sent = this.#swarmMember.mesh.send(frameKind.request, this.#type, one(member), payload, caller.number)
    return Effect.raceFirst(Effect.andThen(Effect.mapError(sent, failureOf), ended), ended).pipe(
      Effect.tapError(() => Effect.sync(() => this.#forget(call)))
    )
  }

  // The deadline ends with the first answer.
  #expire(nowMillis: number): number {
    let nextMillis = Infinity
    for (const call of this.#calls) {
      const { begun, deadlineMillis, procedure, untilMillis } = call
      if (begun) continue
      if (nowMillis < untilMillis) {
        nextMillis = Math.min(nextMillis, untilMillis)
        continue
      }
      this.#abandon(call)
      call.complete(Effect.fail(failureOf(new CallTimedOut({ procedure, deadlineMillis }))))
    }
    return nextMillis
  }

  #acknowledge(call: Call | undefined, message: FromClientEncoded): Effect.Effect<void, RpcClientError> {
    const payload = call === undefined ? undefined : this.#wire.encode(message)
    if (call === undefined || payload === undefined) return Effect.void
    return Effect.mapError(this.#signal(call.member, call.caller.number, payload), failureOf)
  }

  // --- answers ---

  #take(caller: Caller, { kind, payload, sender, senderGeneration }: Message): void {
    const from: MemberId = { slot: sender, generation: senderGeneration }
    if (kind === frameKind.refusal) return this.#refused(caller, from, decodeRejection(payload))
    const answer = this.#wire.decode(payload, answerKinds)
    if (answer === undefined) return this.#misunderstood(caller, from)
    if (answer._tag === "Pong") return
    if (answer._tag === "Defect") return this.#defect(caller, from, answer)
    const call = caller.calls.get(answer.requestId)
    if (call === undefined || !isSame(call.member, from)) {
      this.#late += 1
      return
    }
    call.begun = true
    if (answer._tag === "Exit") {
      this.#forget(call)
      call.complete(Effect.void)
    }
    call.answers.add(this.#write(caller.clientId, answer))
  }

  // Effect RPC fails all calls of the client with the defect, and interrupts them one by one.
  #defect(caller: Caller, from: MemberId, answer: FromServerEncoded): void {
    const called = caller.called.get(from.slot)
    if (called === undefined || !isSame(called, from)) this.#late += 1
    else this.#run(this.#write(caller.clientId, answer))
  }

  // An undecodable answer does not say which of the calls to its sender it was for: fail them all.
  #misunderstood(caller: Caller, from: MemberId): void {
    const unreadable = new CallUnreadable({ service: this.#service, ...this.#named(from), part: "answer" })
    for (const call of [...caller.calls.values()].filter(({ member }) => isSame(member, from))) {
      this.#abandon(call)
      this.#fail(call, unreadable)
    }
  }

  #refused(caller: Caller, from: MemberId, refusal: Rejection | undefined): void {
    if (refusal === undefined) return this.#misunderstood(caller, from)
    const id = refusal._tag === "Returned" ? this.#wire.decode(refusal.request, requestKinds)?.id : refusal.id
    const calls = id === null ? [...caller.calls.values()] : [id === undefined ? undefined : caller.calls.get(id)]
    for (const call of calls) {
      if (call !== undefined && isSame(call.member, from)) this.#fail(call, this.#refusalOf(from, refusal, id))
    }
  }

  #refusalOf(member: MemberId, refusal: Rejection, id: number | string | null | undefined): CallError {
    const service = this.#service
    if (refusal._tag === "Undelivered") return refusal.why
    const reason = refusal._tag === "Closed" ? "closed" : refusal.reason
    if (reason === "unreadable") {
      return new CallUnreadable({ service, ...this.#named(member), part: "request", request: `${id}` })
    }
    return new CallRefused({ service, ...this.#named(member), reason })
  }

  /** The member with its name and pid, for error texts. */
  #named(member: MemberId): { readonly member: MemberId; readonly info?: MemberInfo } {
    const { info } = this.#swarmMember.coordinator.membership.lossOf(member)
    return info === undefined ? { member } : { member, info }
  }

  // --- the end of a call ---

  get #calls(): ReadonlyArray<Call> {
    return [...this.#callers.values()].flatMap(({ calls }) => [...calls.values()])
  }

  #find(clientId: number, id: CallId): Call | undefined {
    return this.#callers.get(clientId)?.calls.get(id)
  }

  /** False if the call had ended before. */
  #forget(call: Call): boolean {
    const { caller: { calls }, id } = call
    return calls.get(id) === call && calls.delete(id)
  }

  #abandon(call: Call | undefined): void {
    if (call === undefined || !this.#forget(call)) return
    this.#tell(call.member, call.caller.number, { _tag: "Interrupt", requestId: call.id })
  }

  #fail(call: Call, error: CallError): void {
    this.#forget(call)
    call.complete(Effect.fail(failureOf(error)))
  }

  #failAll(error: CallError): void {
    for (const call of this.#calls) this.#fail(call, error)
  }

  // Send it even if this client is closed before there is room: the callee would serve the call for good.
  #tell(member: MemberId, number: number, message: FromClientEncoded): void {
    const payload = this.#wire.encode(message)
    if (payload !== undefined) this.#swarmMember.run(persisting(this.#signal(member, number, payload)))
  }

  #signal(member: MemberId, number: number, payload: Uint8Array) {
    return this.#swarmMember.mesh.reply(frameKind.signal, this.#type, one(member), payload, number)
  }

  // --- departures ---

  #heed(notice: Notice): void {
    if (notice._tag === "ShutDown") this.#failAll(new ShuttingDown())
    if (notice._tag === "Departed") {
      if (isSame(notice.member, this.#swarmMember.self.id)) this.#failAll(new ShuttingDown())
      else this.#gone(notice.member)
    }
  }

  #gone(member: MemberId): void {
    for (const call of this.#calls) {
      if (isSame(call.member, member)) this.#fail(call, this.#swarmMember.coordinator.membership.lossOf(member))
    }
    for (const { called } of this.#callers.values()) {
      const known = called.get(member.slot)
      if (known !== undefined && isSame(known, member)) called.delete(member.slot)
    }
  }

  // Without a coordinator no notice reports a departure: ask the operating system.
  #sweep(): void {
    const called = new Map(this.#calls.map(({ member }) => [`${member.slot}.${member.generation}`, member]))
    for (const member of called.values()) if (!this.#swarmMember.isThere(member)) this.#gone(member)
  }
}

const failureOf = (cause: CallError): RpcClientError =>
  new RpcClientError({ reason: new RpcClientDefect({ message: cause.message, cause }) })
