/**
 * The package as a stranger gets it: packed, installed in an application outside the checkout, and used there on a
 * machine without a compiler.
 */
import { assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { once } from "node:events"
import {
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
import { afterAll } from "vitest"

const root = resolve(import.meta.dirname, "../..")
const home = realpathSync(mkdtempSync(join(tmpdir(), "ringfence-install-")))
const application = join(home, "application")
const installed = join(application, "node_modules/ringfence")

const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly devDependencies: Readonly<Record<string, string>>
}
const pinned = (...names: ReadonlyArray<string>) =>
  Object.fromEntries(names.map((name) => [name, manifest.devDependencies[name]]))

/** A PATH with Node and a shell, and nothing that compiles. */
const bareTools = join(home, "tools")
const bare = { ...process.env, PATH: bareTools }

const runs = (command: string, ...args: ReadonlyArray<string>): boolean => spawnSync(command, args).status === 0
const canBuildAll = runs("aarch64-linux-gnu-g++", "--version") &&
  ["x86_64-linux-musl", "aarch64-linux-musl"].every((name) => existsSync(`/usr/lib/${name}/libc.so`))

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
    const prebuilds = canBuildAll ? {} : { RINGFENCE_PREBUILDS: `linux-${process.arch}.glibc` }
    execFileSync("npm", ["pack", "--pack-destination", home], {
      cwd: root,
      env: { ...process.env, ...prebuilds },
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
    assert.isNotEmpty(files.filter((file) => /^prebuilds\/linux-\w+\/ringfence\.glibc\.node$/.test(file)))
    if (canBuildAll) assert.lengthOf(files.filter((file) => file.endsWith(".node")), 4)
    assert.deepStrictEqual(
      files.filter((file) => /\.map$|(?:^|\/)(?:test|bench|scripts|node_modules)(?:\/|$)/.test(file)),
      []
    )
    const mapped = globSync("dist/**/*.js", { cwd: installed })
      .filter((file) => readFileSync(join(installed, file), "utf8").includes("sourceMappingURL"))
    assert.deepStrictEqual(mapped, [])
  })

  it.runIf(existsSync(join(root, "bench")))("has no program that only measures, validates or compares", () => {
    const files = globSync("dist/**/*{rival,validate,soak}*", { cwd: installed })
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
    execFileSync("make", ["-s", "-j2", "-C", folder], { stdio: ["ignore", "inherit", "inherit"] })
    assert.include(inApplication("node", fileOf("run")), "1: 7 × XYZ")
  }, 300_000)
})
