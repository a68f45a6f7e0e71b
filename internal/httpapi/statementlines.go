package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/signedhead"
	"github.com/billetcloud/billet/internal/wallet"
)

// statementStart is the first line of an export as JSON lines.
type statementStart struct {
	Record   string `json:"record"` // statement
	Version  int    `json:"version"`
	Account  id.ID  `json:"account"`
	Currency string `json:"currency"`
}

// statementHead is its last line, if a signature covers the transactions.
type statementHead struct {
	Record string `json:"record"` // head
	signedhead.Head
}

// exportLines streams the account's transactions, oldest first, with their hashes, the links up to
// the signed head that covers them, and that head. It is the same each time for an interval that is
// over and signed. Like export, it breaks the connection after an error.
func (h walletResource) exportLines(
	ctx context.Context, w http.ResponseWriter, c *rest.Call, from, to time.Time,
) error {
	out := bufio.NewWriterSize(w, 1<<16)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	begun := false
	write := func(line any) error {
		if !begun {
			begun = true
			header := w.Header()
			header.Set("Content-Type", "application/jsonl; charset=utf-8")
			header.Set("Content-Disposition", `attachment; filename="billet-statement.jsonl"`)
			w.WriteHeader(http.StatusOK)
			start := statementStart{Record: "statement", Version: 1, Account: c.Caller.Account, Currency: "USD"}
			if err := lines.Encode(start); err != nil {
				return err
			}
		}
		if line == nil {
			return nil
		}
		return lines.Encode(line)
	}
	err := h.writeLines(ctx, c.Caller.Account, from, to, write)
	if err == nil {
		err = write(nil)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil && begun {
		c.Fail(err)
		panic(http.ErrAbortHandler)
	}
	return err
}

func (h walletResource) writeLines(
	ctx context.Context, account id.ID, from, to time.Time, write func(any) error,
) error {
	last, err := h.ledger.Records(ctx, h.db, account, from, to, func(r wallet.Record) error { return write(r) })
	if err != nil || last == 0 {
		return err
	}
	head, signed, err := signedhead.Covering(ctx, h.db, account, last)
	if err != nil || !signed {
		return err
	}
	err = h.ledger.Links(ctx, h.db, account, last, head.Seq, func(l wallet.Link) error { return write(l) })
	if err != nil {
		return err
	}
	return write(statementHead{"head", head})
}
