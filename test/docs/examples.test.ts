/**
 * The examples of the documentation compile and run. They are put into a folder of their own inside the package, where
 * `ringfence` resolves to the built package.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"

const root = resolve(import.meta.dirname, "../..")
const folder = join(root, "build/examples")

interface Example {
  readonly name: string
  readonly kind: string
  readonly code: string
}

const inMarkdown = (file: string): ReadonlyArray<Example> =>
  [...readFileSync(join(root, file), "utf8").matchAll(/^```ts ?(\w*)\n(.*?)^```/gms)]
    .map(([, kind = "", code = ""], i) => ({ name: `${nameOf(file)}-${i}`, kind, code }))

const inSource = (file: string): ReadonlyArray<Example> =>
  [...readFileSync(join(root, file), "utf8").matchAll(/^ \* ```ts\n(.*?)^ \* ```/gms)]
    .map(([, code = ""], i) => ({ name: `${nameOf(file)}-${i}`, kind: "", code: code.replaceAll(/^ \* ?/gm, "") }))

const nameOf = (file: string): string => file.replaceAll(/[^A-Za-z]+/g, "-")

const examples = [
  ...["README.md", ...globSync("docs/*.md", { cwd: root })].flatMap(inMarkdown),
  ...globSync("src/{services,layers}/**/*.ts", { cwd: root }).flatMap(inSource)
]

const fileOf = ({ kind, name }: Example): string => join(folder, kind === "test" ? `${name}.test.ts` : `${name}.ts`)

const tool = (name: string, ...args: ReadonlyArray<string>): string =>
  execFileSync(process.execPath, [join(root, "node_modules", name), ...args], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"]
  })

/** Starts a program, and collects its output. */
const start = (...args: ReadonlyArray<string>) => {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
  let output = ""
  const ended = once(child, "exit").then(([code]) => code as number | null)
  const heard = (chunk: Buffer) => {
    output += chunk.toString()
    child.emit("heard")
  }
  child.stdout.on("data", heard)
  child.stderr.on("data", heard)
  const says = async (what: string): Promise<void> => {
    while (!new RegExp(what).test(output)) {
      await Promise.race([once(child, "heard"), ended])
      assert.isNull(child.exitCode, output)
    }
  }
  return { says, ended, output: () => output, kill: (signal: NodeJS.Signals) => child.kill(signal) }
}

describe("the examples of the documentation", () => {
  beforeAll(() => {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const example of examples) writeFileSync(fileOf(example), example.code)
    writeFileSync(
      join(folder, "tsconfig.json"),
      JSON.stringify({
        extends: "../../tsconfig.json",
        include: ["*.ts"],
        compilerOptions: { incremental: false, noUnusedLocals: false, tsBuildInfoFile: null }
      })
    )
  })

  it("are there", () => assert.isAtLeast(examples.length, 5))

  it("compile", () => {
    assert.strictEqual(tool("typescript/bin/tsc", "-p", folder), "")
  })

  it("run: the application of the README", () => {
    const application = examples.find(({ kind }) => kind === "run")
    const output = execFileSync(process.execPath, [fileOf(application as Example)], { cwd: root, encoding: "utf8" })
    assert.include(output, "0: 100 × ABC")
    assert.include(output, "1: 7 × XYZ")
  })

  it("run: the calls of the README", async () => {
    const calls = examples.find(({ kind }) => kind === "rpc") as Example
    // Use a region of its own, because other runs of these tests may run at the same time.
    writeFileSync(fileOf(calls), calls.code.replaceAll(`"market"`, `"market-${process.pid}"`))
    const server = spawn(process.execPath, [fileOf(calls), "serve"], {
      cwd: root,
      stdio: ["ignore", "pipe", "inherit"]
    })
    try {
      for await (const line of server.stdout) if (String(line).includes("serving")) break
      const output = execFileSync(process.execPath, [fileOf(calls)], { cwd: root, encoding: "utf8" })
      assert.include(output, "ABC costs 300")
    } finally {
      server.kill("SIGTERM")
      await once(server, "exit")
    }
  })

  it(
    "run: a server of the README that is a plain member ends, and says why, when its coordinator is killed",
    async () => {
      const region = `market-lost-${process.pid}`
      const calls = examples.find(({ kind }) => kind === "rpc") as Example
      const file = join(folder, "lost.ts")
      const asMember = calls.code.replaceAll(`"market"`, `"${region}"`).replace("layerCoordinator", "layerMember")
      writeFileSync(file, asMember)
      const ringfence = join(root, "dist/programs/ringfence.js")
      const coordinator = start(ringfence, "swarm", "--coordinator", "--region", region)
      try {
        await coordinator.says("joined|coordinates|taking part|region")
        const server = start(file, "serve")
        try {
          await server.says("serving")
          coordinator.kill("SIGKILL")
          const code = await Promise.race([server.ended, sleep(5000, "it runs on", { ref: false })])
          assert.strictEqual(code, 1)
          assert.match(
            server.output(),
            /the coordinator "coordinator" \(0\.1, pid \d+\) is dead and no standby takes over/
          )
        } finally {
          server.kill("SIGKILL")
          await server.ended
        }
      } finally {
        coordinator.kill("SIGKILL")
        await coordinator.ended
        // And the doorbells of the killed.
        for (const file of globSync(`/dev/shm/ringfence-${region}*`)) rmSync(file, { force: true })
      }
    },
    30_000
  )

  it("run: the tests of the README and of docs/testing.md", () => {
    const config = `export default { test: { include: ["*.test.ts"] } }\n`
    writeFileSync(join(folder, "vitest.config.mjs"), config)
    const output = tool("vitest/vitest.mjs", "run", "--root", folder, "--config", join(folder, "vitest.config.mjs"))
    const tests = examples.filter(({ kind }) => kind === "test")
    assert.isAtLeast(tests.length, 4)
    assert.match(output, new RegExp(`Tests [^\\n]*[^0-9]${tests.length} passed`))
  })
})
