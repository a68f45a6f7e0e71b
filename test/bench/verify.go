package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/clock"
	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/money"
	"github.com/billetcloud/billet/internal/wallet"
)

// accountHours is how many hours are charged of each account of a ledger that is verified.
const accountHours = 100

// ledgers measures the verification of a whole ledger of n charges beside a bare loop that reads
// the rows of its two largest tables and hashes their bytes, in turns.
func ledgers(ctx context.Context, s *site, o options, t *table) (err error) {
	frozen := clock.NewFrozen(time.Now().Truncate(time.Hour))
	if err := s.make(ctx, "ledger", frozen); err != nil {
		return err
	}
	d, err := s.open(ctx, "ledger", frozen)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	n, err := fillLedger(ctx, d, frozen.Now(), o.running)
	if err != nil {
		return err
	}
	if s.engine == db.Postgres {
		if _, err := d.Handle().ExecContext(ctx, `ANALYZE`); err != nil {
			return err
		}
	}
	var ours, theirs []cost
	for range repeats {
		start, cpu := time.Now(), processorTime()
		v, err := wallet.Verify(ctx, d, wallet.VerifyOptions{})
		if err != nil {
			return err
		}
		ours = append(ours, cost{time.Since(start), processorTime() - cpu})
		if v.Transactions != int64(n) || len(v.Problems) > 0 {
			return fmt.Errorf("verified %d transactions of %d, with the problems %v", v.Transactions, n, v.Problems)
		}
		start, cpu = time.Now(), processorTime()
		if err := readAndHash(ctx, d.Handle()); err != nil {
			return err
		}
		theirs = append(theirs, cost{time.Since(start), processorTime() - cpu})
	}
	t.addVerify(s.engine, n, median(ours), median(theirs))
	return nil
}

// fillLedger charges the hours of many accounts, as the sweep does, and returns how many
// transactions the ledger has.
func fillLedger(ctx context.Context, d *db.DB, now time.Time, hours int) (int, error) {
	ids := id.NewMaker(clock.NewFrozen(now), rand.Reader)
	ledger := wallet.New(wallet.Config{DB: d, IDs: ids})
	accounts := max(hours/accountHours, 1)
	for range accounts {
		of, subject := ids.New(id.Account), ids.New(id.Deployment)
		charges := make([]wallet.Charge, accountHours)
		for h := range charges {
			from := now.Add(time.Duration(h) * time.Hour)
			charges[h] = wallet.Charge{
				Account: of, Subject: subject, Hour: int64(h), Amount: 23_920_000, HourlyPrice: 23_920_000, From: from,
				To: from.Add(time.Hour), Description: "8 × NVIDIA B200", Labels: wallet.Labels{
					Provider: "warehouse", Region: "dallas-usa-5", GPUType: "NVIDIA B200", Name: "training-run",
				},
			}
		}
		err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := ledger.Open(ctx, tx, of); err != nil {
				return err
			}
			_, err := ledger.Credit(ctx, tx, wallet.Credit{
				Account: of, Type: wallet.TypeTopUp, Amount: money.Dollars(100_000), Description: "Paid in",
				Dedupe: string(of),
			})
			if err == nil {
				_, err = ledger.ChargeAll(ctx, tx, charges)
			}
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return accounts * (accountHours + 1), nil
}

// readAndHash reads the transactions and entries in their order, and hashes what it reads.
func readAndHash(ctx context.Context, pool *sql.DB) error {
	hash := sha256.New()
	orders := map[string]string{"wallet_transaction": "account_id, seq", "wallet_entry": "transaction_id, book"}
	for _, table := range sweepTables {
		order, of := orders[table.name]
		if !of {
			continue
		}
		rows, err := pool.QueryContext(ctx, `SELECT `+table.columns+` FROM `+table.name+` ORDER BY `+order)
		if err != nil {
			return err
		}
		row := make([]sql.RawBytes, strings.Count(table.columns, ",")+1)
		into := make([]any, len(row))
		for i := range row {
			into[i] = &row[i]
		}
		for rows.Next() {
			if err := rows.Scan(into...); err != nil {
				return errors.Join(err, rows.Close())
			}
			for _, value := range row {
				_, _ = hash.Write(value)
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}
