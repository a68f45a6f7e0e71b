// Package focus owns how the costs of an account are written in the format of FOCUS, the FinOps
// Open Cost and Usage Specification, so that cost tools read them beside those of other clouds.
//
// It does not own the costs (wallet), nor who may read them (httpapi).
//
// # Rows
//
// A row is a charged hour of a deployment or volume, less what was refunded of it, as Usage. An
// hour that crosses the end of a month (UTC) is two rows: no row is in two billing periods. A
// refund that was made in a later month than the hour is a row of its own in the month of the
// refund, of class Correction: what was exported of a month that is over does not change.
//
// The monthly invoice is the billed document, so BilledCost is EffectiveCost, and a top-up, which
// is a payment, has no row.
//
// A quantity has six decimals. Of a part of an hour, quantity times price can therefore differ from
// what was charged by less than a thousandth of a cent. The difference is a row of its own, an
// Adjustment. So the product is exact in each row, and the sum of all rows is exact too.
//
// # Invariants
//
//   - ListUnitPrice × PricingQuantity = ListCost, exactly, in each row with a price.
//   - The sum of BilledCost is what was charged for the interval less what was refunded.
//   - An export of the same interval has the same bytes, if nothing was refunded, tagged or renamed
//     meanwhile. Tags and projects are those of now.
//   - A null is an empty field in CSV and null in JSON.
package focus
