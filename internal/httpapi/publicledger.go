package httpapi

import (
	"context"

	"github.com/billetcloud/billet/internal/rest"
	"github.com/billetcloud/billet/internal/signedhead"
)

// ledgerKeys are the keys that sign the ledger, and the newest that was signed.
type ledgerKeys struct {
	Keys   []signedhead.LedgerKey `json:"keys" doc:"Public keys, newest first. There is one, unless the server's secret key was replaced."`
	Newest *signedhead.LedgerDay  `json:"newest" doc:"Newest signed statement; null before the first. It covers all transactions that were committed before. Keep it to prove later that no transaction before it was changed."`
}

func (h public) ledger(ctx context.Context, c *rest.Call, _ *rest.NoInput) (ledgerKeys, error) {
	keys, err := h.signed.PublicKeys(ctx, h.db)
	if err != nil {
		return ledgerKeys{}, err
	}
	c.SetHeader("Cache-Control", "public, max-age=300")
	newest, found, err := h.signed.Newest(ctx, h.db)
	if err != nil || !found {
		return ledgerKeys{Keys: keys}, err
	}
	return ledgerKeys{Keys: keys, Newest: &newest}, nil
}
