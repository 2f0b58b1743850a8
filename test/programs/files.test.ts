/**
 * `ringfence files`: the listing and the verification of a replica's directory.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { writeCursors } from "../../src/layers/files/cursorsFile.ts"
import { nativeFileLock } from "../../src/layers/native/region/FileLock.ts"
import { nodeDisk } from "../../src/layers/node/NodeDisk.ts"
import { KnownLog } from "../model/filesLog.ts"
import { fill, segmentsOf, withTopic } from "../suites/files/disks.ts"
import { run } from "./harness.ts"

/** A directory with a replica of 60 batches. */
const replica = Effect.gen(function*() {
  const dir = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "ringfence-files-"))),
    (dir) => Effect.sync(() => rmSync(dir, { recursive: true }))
  )
  const disk = { disk: nodeDisk, dir }
  const log = new KnownLog()
  yield* withTopic(disk, (topic) => fill(topic, log, 60, 3))
  return { dir: join(dir, "replica"), log, names: yield* segmentsOf(disk) }
})

describe("files", () => {
  it.live("lists the topics of a replica", () =>
    Effect.gen(function*() {
      const { dir, log, names } = yield* replica
      const said = yield* run(["files", "ls", dir])
      assert.strictEqual(said.code, 0)
      assert.match(said.text, /replica \S+ of log log, term 0, not in sync/)
      assert.match(said.text, new RegExp(`orders +session +durable +0 +${log.at(60).position} +${names.length} `))
      const json = JSON.parse((yield* run(["files", "ls", dir, "--json"])).text) as {
        program: string
        topics: ReadonlyArray<{ end: unknown; identities: number }>
      }
      assert.strictEqual(json.program, "files ls")
      assert.deepInclude(json.topics[0], { end: { index: 60, position: log.at(60).position }, identities: 2 })
    }))

  it.live("verifies every byte, and names the damaged one", () =>
    Effect.gen(function*() {
      const { dir, names } = yield* replica
      const whole = yield* run(["files", "verify", dir])
      assert.strictEqual(whole.code, 0)
      assert.match(whole.text, new RegExp(`${names.length} segments, no damage`))
      const path = join(dir, "topics/orders", names[1]!)
      const bytes = readFileSync(path)
      bytes[bytes.length - 300]! ^= 1
      writeFileSync(path, bytes)
      const found = yield* run(["files", "verify", dir])
      assert.strictEqual(found.code, 1)
      assert.match(found.text, /1 damaged\n.*is damaged at byte \d+: the block there is invalid/)
      assert.match(found.stderr, /^ringfence: .*1 file is damaged/)
      const json = yield* run(["files", "verify", dir, "--json"])
      assert.deepInclude(JSON.parse(json.text), { program: "files verify", ok: false, exitCode: 1, damaged: 1 })
    }))

  it.live("shows named cursors with position and time, and verifies their file", () =>
    Effect.gen(function*() {
      const { dir, log } = yield* replica
      const at = Date.UTC(2026, 10, 25, 7, 30)
      const place = join(dir, "topics/orders")
      const cursors = (position: number) =>
        writeCursors(nodeDisk, place, [{ name: "billing", position, touchedMillis: at, expiresMillis: 60_000 }])
      yield* cursors(7)
      for (const command of ["ls", "verify"]) {
        const said = yield* run(["files", command, dir])
        assert.strictEqual(said.code, 0, said.stderr)
        assert.match(said.text, /billing +orders +7 +2026-11-25T07:30:00\.000Z +2026-11-25T07:31:00\.000Z/)
        const json = JSON.parse((yield* run(["files", command, dir, "--json"])).text)
        assert.deepStrictEqual(json.topics[0].cursors, [
          { name: "billing", position: 7, touchedMillis: at, expiresMillis: 60_000 }
        ])
      }
      const { position: end } = log.at(60)
      yield* cursors(end)
      assert.strictEqual((yield* run(["files", "verify", dir])).code, 0)
      yield* cursors(end + 1)
      const further = yield* run(["files", "verify", dir])
      assert.strictEqual(further.code, 1)
      assert.include(further.text, `cursor "billing" is at ${end + 1}, and the batches end at ${end}`)
      assert.match((yield* run(["files", "ls", dir])).text, /damaged: .*cursors\.json, byte 0/)
      writeFileSync(join(place, "cursors.json"), "{ \"format\": 1, \"cursors\": [{ \"name\"")
      const torn = yield* run(["files", "verify", dir, "--json"])
      assert.deepInclude(JSON.parse(torn.text), { ok: false, exitCode: 1, damaged: 1 })
      assert.match(torn.text, /cursors\.json/)
    }))

  it.live("repairs what is damaged from another replica, and nothing else", () =>
    Effect.gen(function*() {
      const { dir, names } = yield* replica
      const peer = `${dir}-peer`
      cpSync(dir, peer, { recursive: true })
      const [place, file] = [join(dir, "topics/orders"), join(dir, "topics/orders", names[1]!)]
      yield* writeCursors(nodeDisk, join(peer, "topics/orders"), [
        { name: "billing", position: 3, touchedMillis: 1, expiresMillis: 2 }
      ])
      const whole = yield* run(["files", "repair", dir, "--from", peer])
      assert.deepStrictEqual([whole.code, whole.text], [0, `${dir}: nothing is damaged\n`], whole.stderr)
      const bytes = readFileSync(file)
      bytes[bytes.length - 300]! ^= 1
      writeFileSync(file, bytes)
      writeFileSync(join(place, "cursors.json"), "{")
      const alone = yield* run(["files", "repair", dir])
      assert.notStrictEqual(alone.code, 0)
      assert.include(alone.stderr, names[1]!)
      assert.deepStrictEqual(readFileSync(file), bytes)
      const repaired = yield* run(["files", "repair", dir, "--from", join(tmpdir(), "ringfence-none"), "--json"])
      assert.notStrictEqual(repaired.code, 0)
      // A replica that was not named at a restore may have other records at the same positions.
      const manifest = JSON.parse(readFileSync(join(peer, "manifest.json"), "utf8"))
      const withRegion = (region: string) =>
        writeFileSync(join(peer, "manifest.json"), JSON.stringify({ ...manifest, term: { ...manifest.term, region } }))
      withRegion("another")
      const foreign = yield* run(["files", "repair", dir, "--from", peer])
      assert.notStrictEqual(foreign.code, 0)
      assert.match(foreign.stderr, /-peer holds a replica of log another, not of log/)
      assert.deepStrictEqual(readFileSync(file), bytes)
      withRegion(manifest.term.region)
      const { code, stderr, text } = yield* run(["files", "repair", dir, "--from", peer])
      assert.strictEqual(code, 0, stderr)
      assert.match(text, /topic "orders": 1 segment with \d+ records and 1 cursor written again/)
      assert.notDeepEqual(readFileSync(file), bytes)
      const verified = yield* run(["files", "verify", dir])
      assert.strictEqual(verified.code, 0, verified.text)
      assert.match(verified.text, /billing +orders +3 /)
      // A process that writes there keeps its files.
      yield* Effect.scoped(Effect.gen(function*() {
        yield* nativeFileLock.lock(join(dir, "lock"))
        const busy = yield* run(["files", "repair", dir, "--from", peer])
        assert.notStrictEqual(busy.code, 0)
        assert.include(busy.stderr, `pid ${process.pid} writes the replica in ${dir}`)
      }))
      rmSync(peer, { recursive: true })
    }))

  it.live("repairs from the first replica that has the batches, and sets no cursor further than they are", () =>
    Effect.gen(function*() {
      const { dir, log, names } = yield* replica
      const [first, second] = [`${dir}-first`, `${dir}-second`]
      for (const peer of [first, second]) cpSync(dir, peer, { recursive: true })
      const spoil = (where: string, name: string) => {
        const file = join(where, "topics/orders", name)
        const bytes = readFileSync(file)
        bytes[bytes.length - 300]! ^= 1
        writeFileSync(file, bytes)
      }
      const { position: end } = log.at(60)
      for (const peer of [first, second]) {
        yield* writeCursors(nodeDisk, join(peer, "topics/orders"), [
          { name: "billing", position: end + 5, touchedMillis: 1, expiresMillis: 2 }
        ])
      }
      spoil(dir, names[1]!)
      spoil(first, names[1]!)
      writeFileSync(join(dir, "topics/orders", "cursors.json"), "{")
      const alone = yield* run(["files", "repair", dir, "--from", first])
      assert.notStrictEqual(alone.code, 0)
      assert.include(alone.stderr, names[1]!)
      const { code, stderr, text } = yield* run(["files", "repair", dir, "--from", first, "--from", second])
      assert.strictEqual(code, 0, stderr)
      assert.match(text, /1 segment with \d+ records and 1 cursor written again/)
      const verified = yield* run(["files", "verify", dir])
      assert.strictEqual(verified.code, 0, verified.text)
      assert.match(verified.text, new RegExp(`billing +orders +${end} `))
      for (const peer of [first, second]) rmSync(peer, { recursive: true })
    }))

  it.live("a path on which a file lies is told as one, with what to do", () =>
    Effect.gen(function*() {
      const { dir } = yield* replica
      const file = join(dir, "manifest.json")
      for (const command of ["ls", "verify", "repair"]) {
        const { code, stderr } = yield* run(["files", command, file])
        assert.strictEqual(code, 3)
        assert.match(stderr, /manifest\.json.*: ENOTDIR \(a file is where a directory must be: name another directory/)
      }
    }))

  it.live("says when there is no replica", () =>
    Effect.gen(function*() {
      for (const command of ["ls", "verify", "repair"]) {
        const { code, stderr } = yield* run(["files", command, join(tmpdir(), "ringfence-none")])
        assert.strictEqual(code, 3)
        assert.match(stderr, /holds no replica: it has no manifest\.json/)
        assert.strictEqual((yield* run(["files", command])).code, 2)
      }
    }))
})
