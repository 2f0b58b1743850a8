/**
 * A flat encoding, derived from a schema, for the two frames that every barrier waits for: the arrival and the release.
 *
 * Fields follow each other in the order of their declaration, without tags: a number in eight bytes, a boolean or a
 * choice in one, a text or a list behind its count. A frame of a dozen fields takes about a microsecond, where the
 * general encoding takes nine. A schema with anything else in it has no flat layout.
 *
 * A frame begins with a mark that the general encoding never begins with, and a fingerprint of the layout, so that a
 * process with another version of the schema takes the frame for malformed instead of reading other fields.
 */
import type * as Schema from "effect/Schema"
import type * as SchemaAST from "effect/SchemaAST"
import { typeHash } from "../../../services/schema/TypeHash.ts"
import { FlatReader, FlatWriter } from "../transport/FlatBytes.ts"

export interface FlatCodec<A> {
  readonly encode: (value: A) => Uint8Array
  /** `undefined` when the bytes are not a frame that `encode` makes of a valid value. */
  readonly decode: (bytes: Uint8Array) => A | undefined
}

/** The first byte of every flat frame. The general encoding begins with its version, which is below 0x80. */
const mark = 0xf1

export const isFlat = (bytes: Uint8Array): boolean => bytes[0] === mark

/**
 * The flat encoding of a schema's values; `undefined` when the schema has something that no flat layout holds, or that
 * another version of Effect describes in another way.
 */
export const flatCodec = <A>(schema: Schema.Codec<A, unknown>): FlatCodec<A> | undefined => {
  const layout = layoutOf(schema.ast)
  if (layout === undefined) return undefined
  const fingerprint = typeHash(layout.shape)
  return {
    encode: (value) => {
      writer.begin()
      writer.byte(mark)
      writer.word(fingerprint)
      layout.write(writer, value)
      return writer.bytes()
    },
    decode: (bytes) => {
      if (bytes.length < headBytes || bytes[0] !== mark) return undefined
      const reader = new FlatReader(bytes)
      reader.byte()
      if (reader.word() !== fingerprint) return undefined
      const value = layout.read(reader)
      return reader.isAtEnd ? value as A : undefined
    }
  }
}

// --- internal ---

/** The mark, and the fingerprint. */
const headBytes = 5

/** A choice takes one byte. */
const choicesMax = 256

const writer = new FlatWriter()

/** How values of one type lie in a frame. */
interface Layout {
  /** Names the layout: equal for equal layouts only. */
  readonly shape: string
  readonly bytesMin: number
  readonly write: (to: FlatWriter, value: any) => void
  readonly read: (from: FlatReader) => unknown
}

const numbers: Layout = {
  shape: "number",
  bytesMin: 8,
  write: (to, value: number) => to.number(value),
  read: (from) => from.number()
}

const integers: Layout = {
  ...numbers,
  shape: "integer",
  read: (from) => {
    const value = from.number()
    return Number.isSafeInteger(value) ? value : from.wrong()
  }
}

const texts: Layout = {
  shape: "text",
  bytesMin: 4,
  write: (to, value: string) => to.text(value),
  read: (from) => from.text()
}

const choiceOf = (choices: ReadonlyArray<unknown>): Layout => ({
  shape: `(${choices.map((choice) => JSON.stringify(choice)).join("|")})`,
  bytesMin: 1,
  write: (to, value) => to.byte(choices.indexOf(value)),
  read: (from) => {
    const choice = from.byte()
    return choice < choices.length ? choices[choice] : from.wrong()
  }
})

const listOf = (item: Layout): Layout => ({
  shape: `[${item.shape}]`,
  bytesMin: 4,
  write: (to, values: ReadonlyArray<unknown>) => {
    to.word(values.length)
    for (const value of values) item.write(to, value)
  },
  read: (from) => {
    const values: Array<unknown> = []
    for (let left = from.count(item.bytesMin); left > 0 && !from.isWrong; left -= 1) values.push(item.read(from))
    return values
  }
})

const structOf = (fields: ReadonlyArray<readonly [name: string, layout: Layout]>): Layout => ({
  shape: `{${fields.map(([name, { shape }]) => `${name}:${shape}`).join(",")}}`,
  bytesMin: fields.reduce((sum, [, { bytesMin }]) => sum + bytesMin, 0),
  write: (to, value: Readonly<Record<string, unknown>>) => {
    for (const [name, layout] of fields) layout.write(to, value[name])
  },
  read: (from) => {
    const value: Record<string, unknown> = {}
    for (const [name, layout] of fields) value[name] = layout.read(from)
    return value
  }
})

const layoutOf = (ast: SchemaAST.AST): Layout | undefined => {
  const checks = ast.checks ?? []
  if (ast.encoding !== undefined) return undefined
  if (ast._tag === "Number" && checks.length > 0) return checks.every(isInteger) ? integers : undefined
  if (checks.length > 0) return undefined
  switch (ast._tag) {
    case "Number":
      return numbers
    case "String":
      return texts
    case "Boolean":
      return choiceOf([false, true])
    case "Literal":
      return choiceOf([ast.literal])
    case "Union":
      return choiceAmong(ast)
    case "Arrays":
      return listAs(ast)
    case "Objects":
      return structAs(ast)
    default:
      return undefined
  }
}

const choiceAmong = ({ types }: SchemaAST.Union): Layout | undefined => {
  const choices = types.flatMap((type) => type._tag === "Literal" ? [type.literal] : [])
  return choices.length === types.length && choices.length <= choicesMax ? choiceOf(choices) : undefined
}

const listAs = ({ elements, rest }: SchemaAST.Arrays): Layout | undefined => {
  const [only, ...others] = rest
  const item = elements.length > 0 || only === undefined || others.length > 0 ? undefined : layoutOf(only)
  return item && listOf(item)
}

const structAs = ({ indexSignatures, propertySignatures }: SchemaAST.Objects): Layout | undefined => {
  const fields = propertySignatures.flatMap(({ name, type }) => {
    const layout = typeof name !== "string" || type.context?.isOptional ? undefined : layoutOf(type)
    return layout === undefined ? [] : [[name as string, layout] as const]
  })
  return indexSignatures.length > 0 || fields.length < propertySignatures.length ? undefined : structOf(fields)
}

const isInteger = (check: SchemaAST.Check<any>): boolean =>
  (check.annotations?.["representation"] as { readonly id?: string } | undefined)?.id === "effect/schema/isInt"
