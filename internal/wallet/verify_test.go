package wallet_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/db/dbtest"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
	"pgregory.net/rapid"
)

// ledgerTables are the tables that Verify verifies, and what it does not verify of each.
var ledgerTables = map[string][]string{
	"wallet": {"low_mark"}, "wallet_transaction": nil, "wallet_entry": nil, "wallet_credit": nil, "wallet_hold": nil,
	"wallet_charge": {"ended_at"}, "wallet_day": nil, "wallet_day_subject": nil,
}

// unverified are the other tables of this package: what they say may change. What they have added
// up is verified.
var unverified = []string{"wallet_subject", "wallet_spent"}

// verified returns what Verify finds.
func (r *rig) verified() []wallet.Problem {
	r.Helper()
	v, err := wallet.Verify(r.Context(), r.db, wallet.VerifyOptions{})
	if err != nil {
		r.Fatal(err)
	}
	if v.More != 0 {
		r.Fatal(v.More)
	}
	return v.Problems
}

// fillLedger fills two accounts with transactions of every type.
func (r *rig) fillLedger() {
	r.Helper()
	for i := range 2 {
		account := r.account(money.Dollars(100))
		dep, vol := r.ids.New(id.Deployment), r.ids.New(id.Volume)
		r.credit(wallet.Credit{Account: account, Type: wallet.TypeCredit, Amount: money.Dollars(5),
			Description: "thanks", Dedupe: fmt.Sprint("operator/", i)})
		r.credit(wallet.Credit{Account: account, Type: wallet.TypeAdjustment, Amount: -money.Dollars(1),
			Dedupe: fmt.Sprint("operator/less", i)})
		for _, subject := range []id.ID{dep, vol} {
			if err := r.hold(wallet.Hold{Account: account, Subject: subject, Amount: money.Dollars(30),
				Description: "the first hour"}); err != nil {
				r.Fatal(err)
			}
			r.clock.Advance(time.Minute)
		}
		r.release(vol)
		for n := range int64(3) {
			r.clock.Advance(time.Hour)
			r.charge(hour(account, dep, n, money.Dollars(29)+1))
			r.charge(hour(account, vol, n, 10_001))
		}
		last := hour(account, dep, 2, money.Dollars(29)+1)
		unused := back(last, 0)
		unused.From = last.To.Add(-1234 * time.Second)
		unused.Amount = money.ForSeconds(last.HourlyPrice, 1234)
		if _, err := r.refund(unused); err != nil {
			r.Fatal(err)
		}
		for n := range int64(2) { // into debt
			r.charge(hour(account, dep, n+3, money.Dollars(29)+1))
		}
	}
}

// tampering changes rows and restores them.
type tampering struct {
	*rig
	pool *sql.DB
}

func (x tampering) exec(text string, args ...any) error {
	x.Helper()
	_, err := x.pool.ExecContext(x.Context(), text, args...)
	return err
}

func (x tampering) must(text string, args ...any) {
	x.Helper()
	if err := x.exec(text, args...); err != nil {
		x.Fatalf("%v in %s", err, text)
	}
}

func (x tampering) keep() {
	for table := range ledgerTables {
		x.must(`CREATE TABLE kept_` + table + ` AS SELECT * FROM ` + table)
	}
}

func (x tampering) restore(tables ...string) {
	for _, table := range tables {
		x.must(`DELETE FROM ` + table)
		x.must(`INSERT INTO ` + table + ` SELECT * FROM kept_` + table)
	}
}

// rows returns the columns and rows of a table, in an order that does not change.
func (x tampering) rows(table string) (columns []string, all [][]any) {
	x.Helper()
	rows, err := x.pool.QueryContext(x.Context(), `SELECT * FROM `+table)
	if err != nil {
		x.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	columns, _ = rows.Columns()
	for rows.Next() {
		row, into := make([]any, len(columns)), make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			x.Fatal(err)
		}
		all = append(all, row)
	}
	slices.SortFunc(all, func(a, b []any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return columns, all
}

// where returns a condition for the row, with its arguments.
func where(columns []string, row []any, from int) (string, []any) {
	var all []string
	var args []any
	for i, c := range columns {
		if row[i] == nil {
			all = append(all, c+" IS NULL")
			continue
		}
		args = append(args, row[i])
		all = append(all, fmt.Sprintf("%s = $%d", c, from+len(args)-1))
	}
	return strings.Join(all, " AND "), args
}

// other returns values that the field may be changed to.
func other(v any) []any {
	switch v := v.(type) {
	case int64:
		return []any{v + 1, -v - 1, nil}
	case string:
		return []any{v + "x", "", nil}
	}
	return []any{int64(1), "x"}
}

// named fails unless a problem names the row.
func (x tampering) named(what, table string, columns []string, row []any) {
	x.Helper()
	problems := x.verified()
	if len(problems) == 0 {
		x.Fatalf("%s is not found: %v of %s", what, row, table)
	}
	keys := map[string][]string{
		"wallet_transaction": {"id"}, "wallet_entry": {"transaction_id"}, "wallet_charge": {"subject"},
		"wallet_hold": {"subject"}, "wallet_credit": {"account_id"}, "wallet_day_subject": {"subject"},
		"wallet": {"account_id"}, "wallet_day": {"account_id"},
	}
	for _, p := range problems {
		for _, key := range keys[table] {
			value := fmt.Sprint(row[slices.Index(columns, key)])
			if strings.Contains(p.String(), value) && (p.Table == table || table == "wallet_transaction") {
				return
			}
		}
		// Of a transaction that is gone only its number is known.
		if table == "wallet_transaction" && string(p.Account) == row[slices.Index(columns, "account_id")] {
			return
		}
	}
	x.Fatalf("%s of %v in %s is found, but not named: %v", what, row, table, problems)
}

func newTampering(t *testing.T, d *db.DB, c *clock.Simulated) tampering {
	r := newRig(t, d, c)
	r.fillLedger()
	x := tampering{r, d.Handle()}
	if problems := x.verified(); len(problems) > 0 {
		t.Fatalf("problems in a ledger as it was written: %v", problems)
	}
	x.keep()
	return x
}

// TestVerifyFindsEachChange changes each column of each table of the ledger, removes and
// adds rows, and expects that the row is named each time.
func TestVerifyFindsEachChange(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		x := newTampering(t, d, c)
		for table, except := range ledgerTables {
			columns, all := x.rows(table)
			picked := []int{0, len(all) / 2, len(all) - 1}
			for _, at := range slices.Compact(picked) {
				row := all[at]
				condition, args := where(columns, row, 2)
				for i, column := range columns {
					if slices.Contains(except, column) {
						continue
					}
					for _, v := range other(row[i]) {
						if v == row[i] || x.exec(`UPDATE `+table+` SET `+column+` = $1 WHERE `+condition,
							append([]any{v}, args...)...) != nil {
							continue // the database refuses it
						}
						x.named(fmt.Sprintf("%s = %v", column, v), table, columns, row)
						x.restore(table)
					}
				}
				condition, args = where(columns, row, 1)
				x.must(`DELETE FROM `+table+` WHERE `+condition, args...)
				x.named("the removal", table, columns, row)
				x.restore(table)
			}
		}
	})
}

// TestVerifyKnowsEveryTable fails when a table of the ledger is added that Verify does not
// know.
func TestVerifyKnowsEveryTable(t *testing.T) {
	d := dbtest.SQLite(t, clock.NewFrozen(dbtest.Start))
	tables, err := db.Collect(t.Context(), d, db.Value[string],
		`SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'wallet%'`)
	if err != nil {
		t.Fatal(err)
	}
	for _, table := range tables {
		if _, known := ledgerTables[table]; !known && !slices.Contains(unverified, table) {
			t.Errorf("Verify does not know %s", table)
		}
	}
}

// TestVerifyFindsRewrites adds and swaps rows, cuts off the newest ones, and changes several tables
// so that they agree with one another.
func TestVerifyFindsRewrites(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		x := newTampering(t, d, c)
		columns, all := x.rows("wallet_transaction")
		index := func(column string) int { return slices.Index(columns, column) }
		first := all[0]
		account, txn := first[index("account_id")], first[index("id")]
		all = slices.DeleteFunc(all, func(row []any) bool { return row[index("account_id")] != account })
		every := func() []string {
			var tables []string
			for table := range ledgerTables {
				tables = append(tables, table)
			}
			return tables
		}()
		last := int64(len(all))
		names := strings.Join(columns, ", ")
		for name, change := range map[string]func(){
			"a copy with the next number": func() {
				x.must(`INSERT INTO wallet_transaction (`+names+`) SELECT `+strings.Replace(names,
					"id, account_id, seq", `'txn_new', account_id, seq + $1`, 1)+
					` FROM wallet_transaction WHERE account_id = $2 AND seq = 1`, last, account)
			},
			"two numbers swapped": func() {
				for _, step := range [][2]int64{{1, 9999}, {2, 1}, {9999, 2}} {
					x.must(`UPDATE wallet_transaction SET seq = $1 WHERE account_id = $2 AND seq = $3`, step[1],
						account, step[0])
				}
			},
			"the tail cut off": func() {
				x.must(`DELETE FROM wallet_transaction WHERE account_id = $1 AND seq >= $2`, account, last-1)
			},
			"an entry added": func() {
				x.must(`INSERT INTO wallet_entry (transaction_id, book, amount) VALUES ($1, 'mine', 0)`, txn)
			},
			"both entries moved to another book": func() {
				x.must(`UPDATE wallet_entry SET book = 'x' || book WHERE transaction_id = $1`, txn)
			},
			"an amount changed everywhere but in the hash": func() {
				x.must(`UPDATE wallet_transaction SET amount = amount + 7, available_after = available_after + 7,
					balance_after = balance_after + 7 WHERE id = $1`, txn)
				x.must(`UPDATE wallet_transaction SET available_after = available_after + 7,
					balance_after = balance_after + 7 WHERE account_id = $1 AND id <> $2`, account, txn)
				x.must(`UPDATE wallet SET available = available + 7 WHERE account_id = $1`, account)
				x.must(`UPDATE wallet_entry SET amount = amount + 7 WHERE transaction_id = $1
					AND book LIKE 'wallet/%'`, txn)
				x.must(`UPDATE wallet_entry SET amount = amount - 7 WHERE transaction_id = $1
					AND book = 'funding'`, txn)
			},
			"a refund made twice": func() {
				x.must(`UPDATE wallet_charge SET refunded = 2 * refunded, amount = 2 * amount WHERE refunded > 0`)
			},
			"a credit forgotten": func() { x.must(`DELETE FROM wallet_credit WHERE account_id = $1`, account) },
			"a wallet added":     func() { x.must(`INSERT INTO wallet VALUES ('acc_new', 5, 0, 0, NULL, '', NULL)`) },
			"a wallet removed":   func() { x.must(`DELETE FROM wallet WHERE account_id = $1`, account) },
			"a charge added": func() {
				x.must(`INSERT INTO wallet_charge SELECT subject, 99, account_id, amount, hourly_price, from_at,
					0, NULL, provider, region, gpu_type, name, NULL FROM wallet_charge
					WHERE account_id = $1 AND hour = 0`, account)
			},
		} {
			change()
			problems := x.verified()
			if !slices.ContainsFunc(problems, func(p wallet.Problem) bool {
				return strings.Contains(p.String(), fmt.Sprint(account)) ||
					strings.Contains(p.String(), fmt.Sprint(txn)) || strings.Contains(p.String(), "acc_new")
			}) {
				t.Errorf("%s: %v", name, problems)
			}
			x.restore(every...)
		}
		if problems := x.verified(); len(problems) > 0 {
			t.Fatal(problems)
		}
	})
}

// TestVerifyBelievesWhatLedgerWrites runs random operations, and finds no problem after each.
func TestVerifyBelievesWhatLedgerWrites(t *testing.T) {
	checks(t, "15")
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		shared := newRig(t, d, c)
		rapid.Check(t, func(t *rapid.T) {
			r := *shared
			r.fataler = t
			account, deps := r.account(0), []id.ID{r.ids.New(id.Deployment), r.ids.New(id.Volume)}
			next := map[id.ID]int64{}
			texts := rapid.SampledFrom([]string{"", "apple", "Banana", "banana", "_c", "Ärger", "a-b", "ab"})
			labels := func() wallet.Labels { // all of them may change while something runs
				return wallet.Labels{Provider: texts.Draw(t, "provider"), Region: texts.Draw(t, "region"),
					GPUType: texts.Draw(t, "gpuType"), Name: texts.Draw(t, "name")}
			}
			for range rapid.IntRange(1, 12).Draw(t, "steps") {
				dep := rapid.SampledFrom(deps).Draw(t, "subject")
				amount := money.Micros(rapid.Int64Range(1, 50_000_000).Draw(t, "amount"))
				switch rapid.IntRange(0, 6).Draw(t, "step") {
				case 0:
					r.credit(wallet.Credit{Account: account, Type: wallet.TypeAdjustment,
						Amount: amount * money.Micros(rapid.SampledFrom([]int{-1, 1, 2}).Draw(t, "sign")),
						Dedupe: string(r.ids.New(id.Request))})
				case 1:
					_ = r.hold(wallet.Hold{Account: account, Subject: dep, Amount: amount, Labels: labels()})
				case 2:
					r.release(dep)
				case 3:
					var all []wallet.Charge
					for _, s := range deps {
						all = append(all, hour(account, s, next[s], amount), hour(account, s, next[s]+1, amount))
						next[s] += 2
					}
					for i := range all {
						all[i].Labels = labels()
					}
					r.tx(func(ctx context.Context, tx *db.Tx) error {
						_, err := r.ledger.ChargeAll(ctx, tx, all)
						return err
					})
				case 4:
					if next[dep] == 0 {
						continue
					}
					paid, err := r.ledger.Paid(r.Context(), r.db, dep, next[dep]-1)
					if err != nil {
						t.Fatal(err)
					}
					k := hour(account, dep, next[dep]-1, paid[0].HourlyPrice)
					seconds := rapid.Int64Range(1, 3600).Draw(t, "seconds")
					f := back(k, money.ForSeconds(k.HourlyPrice, seconds))
					f.From, f.Labels = k.To.Add(-time.Duration(seconds)*time.Second), labels()
					if _, err := r.refund(f); err != nil {
						t.Fatal(err)
					}
				case 5:
					r.tx(func(ctx context.Context, tx *db.Tx) error {
						return r.ledger.Describe(ctx, tx, wallet.Subject{ID: dep, Account: account,
							Project: texts.Draw(t, "project"), Tags: []string{texts.Draw(t, "tag")}})
					})
				default:
					span := time.Duration(rapid.Int64Range(1, int64(30*time.Hour)).Draw(t, "span"))
					c.Advance(span.Truncate(time.Microsecond))
				}
			}
			if problems := r.verified(); len(problems) > 0 {
				t.Fatal(problems)
			}
		})
	})
}

// TestVerifyBelievesRenames refunds an hour under another name than it was charged under.
func TestVerifyBelievesRenames(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, dep := r.account(money.Dollars(100)), r.ids.New(id.Deployment)
		k := hour(account, dep, 0, money.Dollars(2))
		r.charge(k)
		f := back(k, money.Dollars(1))
		f.From = k.To.Add(-30 * time.Minute)
		f.Labels = wallet.Labels{Provider: "another", Region: "elsewhere", GPUType: "NVIDIA H100", Name: "zebra"}
		if made, err := r.refund(f); !made || err != nil {
			t.Fatal(made, err)
		}
		if problems := r.verified(); len(problems) > 0 {
			t.Fatal(problems)
		}
		r.audited()
	})
}

// TestVerifyBelievesCapturesInDebt captures a hold while the account owes money: the hold's release
// does not end the debt for a moment.
func TestVerifyBelievesCapturesInDebt(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account, a, b := r.account(money.Dollars(20)), r.ids.New(id.Deployment), r.ids.New(id.Deployment)
		if err := r.hold(wallet.Hold{Account: account, Subject: a, Amount: money.Dollars(10)}); err != nil {
			t.Fatal(err)
		}
		c.Advance(time.Minute)
		r.charge(hour(account, b, 0, money.Dollars(13)))
		since := r.get(account).NegativeSince
		c.Advance(time.Minute)
		r.charge(hour(account, a, 0, money.Dollars(10)))
		if now := r.get(account).NegativeSince; now == nil || !now.Equal(*since) {
			t.Fatalf("negative since %v, then %v", since, now)
		}
		if problems := r.verified(); len(problems) > 0 {
			t.Fatal(problems)
		}
		x := tampering{r, d.Handle()}
		x.must(`UPDATE wallet SET negative_since = negative_since - 1`)
		if problems := r.verified(); len(problems) != 1 || problems[0].Table != "wallet" {
			t.Fatal(problems)
		}
	})
}

// TestNamesAreComparedByBytes charges under names that sort differently in the order of a language,
// which is the order of many PostgreSQL databases.
func TestNamesAreComparedByBytes(t *testing.T) {
	d := dbtest.Postgres(t, clock.NewFrozen(dbtest.Start))
	r := newRig(t, d, clock.NewFrozen(dbtest.Start))
	x := tampering{r, d.Handle()}
	x.collate("en-x-icu")
	account, dep := r.account(money.Dollars(100)), r.ids.New(id.Deployment)
	for n, name := range []string{"apple", "Banana", "_c"} {
		k := hour(account, dep, int64(n), money.Dollars(1))
		k.From, k.To, k.Name = k.From.Add(time.Hour), k.To.Add(time.Hour), name // on one day
		r.charge(k)
	}
	if problems := r.verified(); len(problems) > 0 {
		t.Fatal(problems)
	}
	r.audited()
}

// collate gives all text columns of the ledger another collation.
func (x tampering) collate(name string) {
	x.Helper()
	rows, err := x.pool.QueryContext(x.Context(), `SELECT table_name, column_name FROM information_schema.columns
		WHERE table_schema = 'public' AND table_name LIKE 'wallet%' AND data_type = 'text'`)
	if err != nil {
		x.Fatal(err)
	}
	var all []string
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			x.Fatal(err)
		}
		all = append(all, fmt.Sprintf(`ALTER TABLE %s ALTER COLUMN %s TYPE TEXT COLLATE "%s"`, table, column, name))
	}
	if err := rows.Err(); err != nil || len(all) == 0 {
		x.Fatal(err, len(all))
	}
	for _, text := range all {
		x.must(text)
	}
}

// TestVerifyFindsHoursOutOfPlace writes charges with correct hashes that are of no whole hour, or
// of an hour that is not the subject's.
func TestVerifyFindsHoursOutOfPlace(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		for name, change := range map[string]func(k *wallet.Charge){
			"half an hour": func(k *wallet.Charge) { k.To, k.Amount = k.From.Add(30*time.Minute), k.Amount/2 },
			"an hour late": func(k *wallet.Charge) { k.From, k.To = k.From.Add(time.Hour), k.To.Add(time.Hour) },
			"a bit early": func(k *wallet.Charge) {
				k.From, k.To = k.From.Add(-time.Microsecond), k.To.Add(-time.Microsecond)
			},
			"far away": func(k *wallet.Charge) { k.Hour = 1 << 60 },
		} {
			r := newRig(t, d, c)
			account, dep := r.account(money.Dollars(100)), r.ids.New(id.Deployment)
			r.charge(hour(account, dep, 0, money.Dollars(2)))
			k := hour(account, dep, 1, money.Dollars(2))
			change(&k)
			r.charge(k)
			problems := slices.DeleteFunc(r.verified(), func(p wallet.Problem) bool { return p.Account != account })
			if len(problems) == 0 || problems[0].Table != "wallet_transaction" || problems[0].Seq != 3 {
				t.Errorf("%s: %v", name, problems)
			}
		}
	})
}

// TestVerifyNamesBothLinesOfAHash changes a hash: by the hash alone either line may be the one that
// was changed. After a gap it says that it could not check.
func TestVerifyNamesBothLinesOfAHash(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		x := newTampering(t, d, c)
		says := func(seq int64, text string) {
			t.Helper()
			problems := x.verified()
			if !slices.ContainsFunc(problems, func(p wallet.Problem) bool {
				return p.Seq == seq && strings.Contains(p.Problem, text)
			}) {
				t.Errorf("no problem of seq %d says %q: %v", seq, text, problems)
			}
		}
		x.must(`UPDATE wallet_transaction SET hash = 'v1:' WHERE seq = 4`)
		says(5, "it or the hash of seq 4 was changed")
		x.restore("wallet_transaction")
		x.must(`DELETE FROM wallet_transaction WHERE seq = 4`)
		says(5, "seq 4 before it is missing, so its hash could not be checked")
		x.must(`DELETE FROM wallet_transaction WHERE seq = 5`)
		says(6, "seq 4 to 5 before it are missing, so its hash could not be checked")
	})
}

// TestSpendingReadsOnlySumsThatAreNeeded tags each subject differently, as an account does that
// numbers its runs.
func TestSpendingReadsOnlySumsThatAreNeeded(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		account := r.account(money.Dollars(100))
		for n := range 5 {
			dep := r.ids.New(id.Deployment)
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				return r.ledger.Describe(ctx, tx, wallet.Subject{ID: dep, Account: account,
					Project: fmt.Sprint("p", n%2), Tags: []string{fmt.Sprint("job-", n)}})
			})
			r.charge(hour(account, dep, 0, money.Dollars(2)))
		}
		accounts := []id.ID{account}
		for _, c := range []struct {
			ever wallet.Ever
			want int
		}{
			{wallet.Ever{}, 0}, {wallet.Ever{Accounts: accounts}, 1},
			{wallet.Ever{Accounts: accounts, Project: true}, 2}, {wallet.Ever{Accounts: accounts, Creator: true}, 1},
			{wallet.Ever{Accounts: accounts, Project: true, Tags: true, Creator: true}, 5},
		} {
			all, err := wallet.Spending(t.Context(), d, accounts, r.clock.Now(), r.clock.Now(), c.ever)
			if err != nil {
				t.Fatal(err)
			}
			sums, sum := 0, money.Micros(0)
			for _, s := range all {
				if s.Ever {
					sums, sum = sums+1, sum+s.Amount
				}
			}
			if sums != c.want || c.want > 0 && sum != money.Dollars(10) {
				t.Errorf("%+v: %d sums of %s", c.ever, sums, sum)
			}
		}
	})
}

// TestVerifyFindsChangedSums changes what subjects, and all that are described alike, have spent.
func TestVerifyFindsChangedSums(t *testing.T) {
	dbtest.Engines(t, func(t *testing.T, d *db.DB, c *clock.Simulated) {
		r := newRig(t, d, c)
		x := tampering{r, d.Handle()}
		account, dep, other := r.account(money.Dollars(100)), r.ids.New(id.Deployment), r.ids.New(id.Deployment)
		r.tx(func(ctx context.Context, tx *db.Tx) error {
			return r.ledger.Describe(ctx, tx,
				wallet.Subject{ID: dep, Account: account, Project: "a", Tags: []string{"t"}},
				wallet.Subject{ID: other, Account: account, Project: "b"})
		})
		r.charge(hour(account, dep, 0, money.Dollars(2)))
		r.charge(hour(account, other, 0, money.Dollars(2)))
		for _, change := range []struct{ table, does, undo string }{
			{"wallet_subject", `UPDATE wallet_subject SET spent = spent + 1 WHERE project = 'a'`,
				`UPDATE wallet_subject SET spent = spent - 1 WHERE project = 'a'`},
			{"wallet_subject", `UPDATE wallet_subject SET spent = 2000000 - spent`,
				`UPDATE wallet_subject SET spent = 2000000 - spent`},
			{"wallet_spent", `UPDATE wallet_spent SET cost = cost + 1 WHERE project = 'a'`,
				`UPDATE wallet_spent SET cost = cost - 1 WHERE project = 'a'`},
			{"wallet_spent", `UPDATE wallet_spent SET project = 'c' WHERE project = 'a'`,
				`UPDATE wallet_spent SET project = 'a' WHERE project = 'c'`},
			{"wallet_spent", `UPDATE wallet_spent SET kind = 'x' || kind WHERE project = 'a'`,
				`UPDATE wallet_spent SET kind = substr(kind, 2) WHERE project = 'a'`},
		} {
			x.must(change.does)
			if problems := r.verified(); !slices.ContainsFunc(problems, func(p wallet.Problem) bool {
				return p.Table == change.table && p.Account == account
			}) {
				t.Errorf("%s: %v", change.does, problems)
			}
			x.must(change.undo)
			if problems := r.verified(); len(problems) > 0 {
				t.Fatalf("after %s: %v", change.undo, problems)
			}
		}
	})
}
