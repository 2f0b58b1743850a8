import { ringDeliverySuite } from "../suites/ringDelivery.ts"
import { nativeRings } from "./ringFamily.ts"

ringDeliverySuite(nativeRings)
