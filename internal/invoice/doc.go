// Package invoice owns the documents that an account gets about its money: the monthly invoice,
// credit notes that correct one, and what they are made of: the seller, the buyers and the tax
// rates.
//
// It does not own the money (wallet): no document changes a balance. It does not know how a mail is
// written (mail) or who may read a document (httpapi).
//
// # Which document is the invoice
//
// The wallet is prepaid. A payment into it is not a sale, because what will be bought with it is
// not known yet. The tax document is therefore the invoice of a month for what was used in it. Its
// lines are the charges of the month less the refunds. Payments, credits and adjustments are on it
// as changes of the balance, between the opening and the closing balance.
//
// Prices include the tax. A wallet is charged the price and nothing else: a tax on top would have
// to be taken from money that the tenant put in for machines, at a time when the machines may have
// used it up. So the invoice shows the tax that the amount contains. It depends on the buyer: see
// Treat.
//
// # Amounts
//
// Lines are exact to the micro-dollar and add up to the ledger's transactions of the month. The
// total is their sum rounded half-up to cents; the difference is stated. The net amount and the tax
// are cents. Where no net amount plus its tax gives the total, a rounding of one cent is stated.
//
// Where the seller has a tax currency, the tax is stated in it, too: the tax in US dollars at the
// exact rate, rounded half-up to the minor unit of the currency. The rate is the latest one that
// holds on the last day of the month and is at most MaxRateAge days older. Without one the invoice
// is not issued.
//
// # Invariants
//
//   - A month of an account has one invoice, however often and in how many processes the job runs.
//   - Numbers of a series and year have no gaps. The number is taken from a row that is locked
//     until the transaction which inserts the document commits.
//   - A document never changes. Its content, and the HTML, PDF and XML that were made of it once,
//     are rows that are inserted and never updated. It is corrected by credit notes, which together
//     are at most its total.
//   - The seller, the buyer, the tax and the exchange rate are copied into the document. A credit
//     note has those of the invoice that it corrects.
//   - The opening balance of an invoice is the closing balance of the one before.
//
// The tables invoice and invoice_rendering grow by a document for each account and month, and are
// kept: tax law asks for that. receipt grows by three rows for each payment and refund whose
// receipt is read, and is kept like the top-up. invoice_month and invoice_sequence grow with months
// and years. Settings and tax rates are bounded, and so are exchange rates: by MaxExchangeRates.
//
// Locks are taken in this order: the corrected invoice, the settings, the sequence, then what
// package wallet takes, then events and jobs.
package invoice
