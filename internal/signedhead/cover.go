package signedhead

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/wallet"
)

// Head is a signed head of an account with the proof that the day's statement has it.
type Head struct {
	Account   id.ID  `json:"account" doc:"Account."`
	Seq       int64  `json:"seq" doc:"Number of the account's newest transaction on that day."`
	Hash      string `json:"hash" doc:"Hash of that transaction."`
	Path      []Step `json:"path" doc:"Steps from the leaf of this head to the root."`
	PublicKey string `json:"publicKey" doc:"Ed25519 public key, 32 bytes in base64."`
	LedgerDay
}

// Covering returns the account's first signed head at or after a transaction; found is false if the
// transaction is not signed yet. The answer never changes once there is one.
func Covering(ctx context.Context, r db.Reader, account id.ID, seq int64) (h Head, found bool, err error) {
	row, found, err := headFrom(ctx, r, account, seq)
	if err != nil || !found {
		return h, false, err
	}
	s, found, err := findStatement(ctx, r, row.day)
	if err != nil || !found {
		return h, false, err
	}
	all, err := headsOf(ctx, r, row.day)
	if err != nil {
		return h, false, err
	}
	k, found, err := findKey(ctx, r, s.KeyID)
	if err != nil || !found {
		return h, false, err
	}
	sorted := sortedHeads(all)
	at := slices.IndexFunc(sorted, func(h wallet.Head) bool { return h.Account == account })
	tree := leaves(sorted)
	if root(tree) != s.Root {
		return h, false, fmt.Errorf("signedhead: the heads of %s do not have the signed root", s.Day)
	}
	return Head{Account: account, Seq: row.Seq, Hash: row.Hash, Path: path(tree, at), PublicKey: k.public,
		LedgerDay: s}, true, nil
}

// sortedHeads returns the heads in the order of the tree: that of the bytes of their accounts.
func sortedHeads(rows []headRow) []wallet.Head {
	out := make([]wallet.Head, len(rows))
	for i, h := range rows {
		out[i] = h.Head
	}
	slices.SortFunc(out, func(a, b wallet.Head) int { return cmp.Compare(a.Account, b.Account) })
	return out
}
