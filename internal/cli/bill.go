package cli

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

func (t *tool) bill() *cobra.Command {
	cmd := &cobra.Command{Use: "bill", Short: "Export and verify your bill"}
	cmd.AddCommand(t.billExport(), t.billVerify())
	return cmd
}

func (t *tool) billExport() *cobra.Command {
	var from, to string
	cmd := &cobra.Command{
		Use: "export", Short: "Export transactions with their proof", Args: cobra.NoArgs,
		Long: `Prints the transactions of your account, oldest first, as JSON lines with everything needed to
recompute them: rates, intervals, hashes, and the server's signature. 'billet bill verify' checks the
file without the server.

` + timesHelp,
		Example: `  billet bill export --from 2026-11-01 --to 2026-12-01 > november.jsonl
  billet bill verify november.jsonl`,
	}
	timeFlags(cmd, &from, &to)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, _ []string) error {
		a, b, err := t.interval(ctx, c, from, to)
		if err != nil {
			return err
		}
		body, err := c.Wallet.LedgerLines(ctx, a, b)
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		_, err = io.Copy(t.Out, body)
		return err
	})
}

// verifiedBill is what 'bill verify' prints.
type verifiedBill struct {
	Account      string       `json:"account"`
	Transactions int64        `json:"transactions"`
	FirstSeq     int64        `json:"firstSeq"`
	LastSeq      int64        `json:"lastSeq"`
	Charges      client.Money `json:"charges"`
	Refunds      client.Money `json:"refunds"`
	PaidIn       client.Money `json:"paidIn"`
	// SignedDay is "" where no signature covers the transactions yet.
	SignedDay string `json:"signedDay"`
	PublicKey string `json:"publicKey"`
	// Trusted is true if the key is the one that was given.
	Trusted  bool     `json:"trusted"`
	Problems []string `json:"problems"`
}

func (t *tool) billVerify() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "verify <file>", Short: "Verify an exported bill without the server", Args: cobra.ExactArgs(1),
		Long: `Recomputes a file of 'billet bill export', or standard input for '-': the amount of each hour from
its rate and interval, the balances, the hash of each transaction, and the signature that covers
them. It does not contact the server. The exit code is 1 if anything is wrong.

The file contains the public key of its signature. To check that the key is the server's, pass the
key that you trust as --public-key. The server publishes its keys at /api/v1/public/ledger.`,
		Example: `  billet bill verify november.jsonl
  billet bill verify november.jsonl --public-key "$KEY" -o json`,
	}
	cmd.Flags().StringVar(&key, "public-key", "", "trusted public `key`, in base64")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		in := io.Reader(t.In)
		if args[0] != "-" {
			f, err := os.Open(args[0])
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			in = f
		}
		b, err := verifyBill(in, key)
		if err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if err := t.showBill(b); err != nil {
			return err
		}
		if len(b.Problems) > 0 {
			return exit(exitOther)
		}
		return nil
	}
	return cmd
}

func (t *tool) showBill(b verifiedBill) error {
	signed := "not yet"
	if b.SignedDay != "" {
		signed = b.SignedDay + ", key " + b.PublicKey
		if !b.Trusted {
			signed += " (compare it with the server's)"
		}
	}
	rows := []row{
		{"Account", b.Account}, {"Transactions", fmt.Sprintf("%d (%d to %d)", b.Transactions, b.FirstSeq, b.LastSeq)},
		{"Charges", total(b.Charges)}, {"Refunds", total(b.Refunds)}, {"Paid in", total(b.PaidIn)}, {"Signed", signed},
	}
	if len(b.Problems) == 0 {
		rows = append(rows, row{"Result", "Everything agrees."})
	}
	for _, p := range b.Problems {
		rows = append(rows, row{"Problem", p})
	}
	return show(t, "", b, rows...)
}

// maxRecord is the longest line of an export, in bytes.
const maxRecord = 1 << 20

// maxBillProblems is how many problems are listed. What follows a wrong hash is mostly wrong, too.
const maxBillProblems = 20

// verifyBill reads an export. It returns an error if the file is none.
func verifyBill(in io.Reader, key string) (verifiedBill, error) {
	v := billVerifier{bill: verifiedBill{Problems: []string{}}, key: key}
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxRecord)
	n := 0
	for lines.Scan() {
		n++
		var r client.LedgerRecord
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return v.bill, fmt.Errorf("line %d is not a record: %w", n, err)
		}
		if n == 1 && (r.Record != "statement" || r.Version != 1) {
			return v.bill, errors.New("line 1 is not the beginning of a statement in a version that is known here")
		}
		if err := v.record(n, &r); err != nil {
			return v.bill, err
		}
	}
	if err := lines.Err(); err != nil {
		return v.bill, err
	}
	if n == 0 {
		return v.bill, errors.New("the file is empty")
	}
	v.end()
	return v.bill, nil
}
