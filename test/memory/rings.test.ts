import { ringDeliverySuite } from "../suites/ringDelivery.ts"
import { memoryRings } from "./ringFamily.ts"

ringDeliverySuite(memoryRings)
