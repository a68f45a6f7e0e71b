// Package db owns transactions, the tables' columns as Go values, and what the two engines, SQLite
// and PostgreSQL, do differently.
//
// It owns no table and knows nothing of what the tables hold. Every other package keeps its SQL in
// its own store.go, one text for both engines. A function that takes a *Tx after its context joins
// its caller's transaction; the package whose use case it is opens one with InTx.
//
// # Columns
//
// A store names each column once, in a function that pairs it with the field that holds it:
//
//	type key struct {
//		ID        id.ID
//		Name      string
//		Limit     *money.Micros // NULL where nil
//		Scopes    []string
//		CreatedAt time.Time
//		RevokedAt *time.Time
//	}
//
//	func (k *key) columns() []db.Column {
//		return []db.Column{
//			db.Col("id", &k.ID),
//			db.Col("name", &k.Name),
//			db.Derived("name_key", strings.ToLower(k.Name)), // written, never read
//			db.Col("spending_limit", &k.Limit),
//			db.Col("scopes", db.JSON(&k.Scopes)),
//			db.Col("created_at", &k.CreatedAt),
//			db.Col("revoked_at", &k.RevokedAt),
//		}
//	}
//
//	var keys = db.NewTable("api_key", (*key).columns)
//
// That list feeds every statement:
//
//	err := keys.Insert(ctx, tx, k)
//	n, err := keys.Update(ctx, tx, &k, []string{"name", "name_key"}, db.Is("id", k.ID))
//	k, found, err := keys.Find(ctx, r, `WHERE id = $1`, keyID)
//	all, err := keys.Select(ctx, r, `WHERE account_id = $1 ORDER BY id`, account)
//	page := keys.List(db.Is("account_id", account)) // add an order, then call Page
//
// Collect, CollectMap and Find read the rows of any other query.
//
// # Values
//
// Arguments and destinations are the fields as they are. A time.Time is kept as BIGINT microseconds
// since 1970 and read in UTC, a bool as BIGINT 0 or 1, money.Micros as BIGINT micro-dollars; a
// pointer to one of them may be NULL. JSON, SharedJSON, Seconds and ZeroAsNull are for what is kept
// otherwise.
//
// # Invariants
//
//   - Tx.Now is fixed once, so all rows of one change have the same time. On SQLite it is read
//     after the write lock, so that times follow the order of commits.
//   - InTx may run its function again, after a conflict or while the database is briefly
//     unavailable. The function has no effect outside the transaction except through AfterCommit.
//   - Every query and transaction has a deadline, its caller's or one of this package's. A database
//     that cannot serve gives an *UnavailableError. Only that error can leave open whether a commit
//     was done.
//   - A replica serves a read only if its context allows for a lag (MayLag). One that fails before
//     its first rows is repeated on the primary, where the context's later reads stay.
//   - The context that InTx passes on is marked. A DB used with a marked context returns
//     ErrInsideTx instead of waiting for itself. Code that must not run inside a transaction, such
//     as a provider call, checks InsideTx.
//   - Text is UTF-8 without NUL. PostgreSQL sorts it by the collation of the database, which may be
//     that of a language. Where a result must be what Go computes, the text is followed by ByBytes.
package db
