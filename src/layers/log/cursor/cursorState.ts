/**
 * A cursor as diagnostics show it.
 */
import type { CursorState } from "../../../services/Diagnostics.ts"
import { type CursorView, isExpired } from "../../ports/CursorPort.ts"

export const cursorState = (topic: string, view: CursorView): CursorState => ({
  topic,
  cursor: view.name,
  position: view.position,
  holder: view.holder,
  touchedMillis: view.touchedMillis,
  expiresMillis: view.expiresMillis,
  isExpired: isExpired(view, Date.now())
})
