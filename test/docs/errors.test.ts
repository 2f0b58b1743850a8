/**
 * What every error of the package keeps to.
 */
import { assert, describe, it } from "@effect/vitest"
import type * as Schema from "effect/Schema"
import * as ringfence from "../../src/index.ts"

/** The exported error classes, those of the package's namespaces included. */
const errorsIn = (
  exports: object,
  depth = 0
): ReadonlyArray<Schema.Struct<Schema.Struct.Fields> & { readonly name: string }> =>
  Object.values(exports).flatMap((value) => {
    if (typeof value === "function" && value.prototype instanceof Error) return [value as never]
    return typeof value === "object" && value !== null && depth < 1 ? errorsIn(value, depth + 1) : []
  })

describe("every exported error", () => {
  const errors = errorsIn(ringfence)

  it("keeps the name, message, stack and cause of an error: no field of its own hides them", () => {
    assert.isAbove(errors.length, 30)
    for (const { fields, name } of errors) {
      for (const field of ["name", "message", "stack", "cause"]) assert.notProperty(fields, field, name)
    }
  })
})
