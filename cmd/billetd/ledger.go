package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/billetcloud/billet/internal/app"
	"github.com/billetcloud/billet/internal/wallet"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

func ledgers() *cobra.Command {
	cmd := &cobra.Command{Use: "ledger", Short: "Verify the ledger of all accounts"}
	common, out, keys := &commonFlags{}, &output{}, []string{}
	verify := &cobra.Command{
		Use: "verify", Args: cobra.NoArgs, Short: "Verify every transaction and balance",
		Long: `Reads the whole ledger and recomputes everything in it: the hash of each transaction, which covers
the transaction before it; sequences, balances and holds; the amount of each hour by its rate and
interval; and the tables that repeat what transactions say. If rows were changed, removed or
added, it names each of them, and the exit code is 1.

The server signs the latest hash of each account every day, so even a history that was rewritten with
all of its hashes is found. The secret key proves that a signature is the server's. Without it, pass
the public keys that you trust; the server publishes them at /api/v1/public/ledger.

The command only reads. Run it while the server runs, or on a copy of the database.`,
		Example: `  billetd ledger verify
  billetd ledger verify --data-dir /backup/billet -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			began := time.Now()
			o := wallet.VerifyOptions{}
			if term.IsTerminal(int(os.Stderr.Fd())) {
				o.Progress = progress(cmd.ErrOrStderr(), began)
			}
			v, err := app.VerifyLedger(cmd.Context(), common.cfg, keys, o)
			if err != nil {
				return err
			}
			return printVerified(cmd.OutOrStdout(), out, v, time.Since(began))
		},
	}
	out.flag(verify)
	verify.Flags().StringSliceVar(&keys, "public-key", nil, "trusted public `key`, in base64; repeatable")
	cmd.AddCommand(common.flags(verify))
	return cmd
}

// progress returns a function that writes one line again and again, at most ten times a second.
func progress(w io.Writer, began time.Time) func(done, of int64) {
	var last time.Time
	return func(done, of int64) {
		now := time.Now()
		if done < of && now.Sub(last) < 100*time.Millisecond || of == 0 {
			return
		}
		last = now
		fmt.Fprintf(w, "\r%d of %d transactions, %d%%, %s\x1b[K", done, of, done*100/of,
			now.Sub(began).Round(time.Second))
		if done == of {
			fmt.Fprintln(w)
		}
	}
}

func printVerified(w io.Writer, out *output, v app.VerifiedLedger, took time.Duration) error {
	var rows [][]any
	for _, p := range v.Problems {
		seq := "-"
		if p.Seq > 0 {
			seq = fmt.Sprint(p.Seq)
		}
		rows = append(rows, []any{orDash(string(p.Account)), seq, orDash(string(p.Transaction)), p.Table, p.Row,
			p.Problem})
	}
	found := int64(len(v.Problems)) + v.More
	if found > 0 || out.format != "table" {
		if err := out.print(w, v, []any{"ACCOUNT", "SEQ", "TRANSACTION", "TABLE", "ROW", "PROBLEM"}, rows); err != nil {
			return err
		}
	}
	if found > 0 {
		return fmt.Errorf("%s in %s of %s", counted(found, "problem"), counted(v.Transactions, "transaction"),
			counted(v.Accounts, "account"))
	}
	if out.format == "table" {
		_, err := fmt.Fprintf(w, "No problem in %s of %s, and %s. It took %s.\n",
			counted(v.Transactions, "transaction"), counted(v.Accounts, "account"), counted(v.Days, "signed day"),
			took.Round(time.Millisecond))
		for _, k := range v.Keys {
			if err == nil && !k.Trusted {
				_, err = fmt.Fprintf(w, "It is not proven that the key %s is the server's; "+
					"give the keys that you trust with --public-key.\n", k.Public)
			}
		}
		return err
	}
	return nil
}

func counted(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
