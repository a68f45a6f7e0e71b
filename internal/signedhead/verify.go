package signedhead

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/billetcloud/billet/internal/db"
	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/secret"
	"github.com/billetcloud/billet/internal/wallet"
)

// unsigned is how much newer than the newest statement transactions may be.
const unsigned = 48 * time.Hour

// Verified is what Verify has read and found.
type Verified struct {
	Days     int64            `json:"days"`
	Keys     []VerifiedKey    `json:"keys"`
	Problems []wallet.Problem `json:"problems"`
}

// VerifiedKey is a key that signed.
type VerifiedKey struct {
	Public string `json:"publicKey"`
	// Trusted is true if the key was proven to be the server's, or was given.
	Trusted bool `json:"trusted"`
}

// VerifyOptions configure Verify. Each field is optional.
type VerifyOptions struct {
	// Secrets proves that a key is the server's: only what was sealed with it opens.
	Secrets *secret.Box
	// PublicKeys are keys that are trusted, in base64. If there are any, no other key is, unless
	// Secrets proves it.
	PublicKeys []string
}

// Verify compares every signed head with the ledger, and verifies the statements and signatures. It
// writes nothing. The hashes of the transactions before a head are verified by wallet.Verify.
func Verify(ctx context.Context, r db.Reader, o VerifyOptions) (v Verified, err error) {
	v.Problems, v.Keys = []wallet.Problem{}, []VerifiedKey{}
	rows, err := allKeys(ctx, r)
	if err != nil {
		return v, err
	}
	public := map[string]ed25519.PublicKey{}
	for _, k := range rows {
		public[k.id] = v.trust(k, o)
	}
	all, err := allStatements(ctx, r)
	if err != nil {
		return v, err
	}
	v.Days = int64(len(all))
	previous, newest := "", map[id.ID]int64{}
	for _, s := range all {
		if err := v.day(ctx, r, s, public[s.KeyID], previous, newest); err != nil {
			return v, err
		}
		previous = s.digest()
	}
	unknown, err := unknownDays(ctx, r)
	if err != nil {
		return v, err
	}
	for _, day := range unknown {
		v.say("signed_head_day", day, "is missing; there are signed heads of it")
	}
	return v, v.tail(ctx, r, rows, all)
}

func (v *Verified) say(table, row, format string, args ...any) {
	v.Problems = append(v.Problems, wallet.Problem{Table: table, Row: row, Problem: fmt.Sprintf(format, args...)})
}

// trust returns the public key, or nil if it is none, and reports one that is not trusted.
func (v *Verified) trust(k keyRow, o VerifyOptions) ed25519.PublicKey {
	public, err := base64.StdEncoding.DecodeString(k.public)
	if err != nil || len(public) != ed25519.PublicKeySize || keyID(public) != k.id {
		v.say("signed_head_key", k.id, "was changed; it is not an Ed25519 public key with this ID")
		return nil
	}
	trusted := slices.Contains(o.PublicKeys, k.public)
	if o.Secrets != nil && !trusted {
		_, err := k.open(o.Secrets)
		trusted = err == nil
	}
	if !trusted && (o.Secrets != nil || len(o.PublicKeys) > 0) {
		v.say("signed_head_key", k.id, "is not trusted: it was added, or is older than the server's secret key; "+
			"if you know that it was the server's, give it as a public key")
	}
	v.Keys = append(v.Keys, VerifiedKey{k.public, trusted})
	return public
}

// day verifies one statement. newest has the number of each account's newest head so far.
func (v *Verified) day(
	ctx context.Context, r db.Reader, s LedgerDay, public ed25519.PublicKey, previous string, newest map[id.ID]int64,
) error {
	all, err := compared(ctx, r, s.Day)
	if err != nil {
		return err
	}
	rows := make([]headRow, len(all))
	for i, f := range all {
		rows[i] = f.headRow
		p := wallet.Problem{Account: f.Account, Seq: f.Seq, Table: "signed_head", Row: s.Day + "/" + string(f.Account)}
		switch {
		case f.now == nil:
			p.Problem = "its transaction is missing; the history was cut off, or the head was changed"
		case *f.now != f.Hash:
			p.Problem = "its hash is not that of the ledger; the history up to here was rewritten, " +
				"or the head was changed"
		case f.Seq <= newest[f.Account]:
			p.Problem = "is not newer than the account's head before it"
		}
		if p.Problem != "" {
			v.Problems = append(v.Problems, p)
		}
		newest[f.Account] = max(newest[f.Account], f.Seq)
	}
	var transactions int64
	for _, seq := range newest {
		transactions += seq
	}
	signature, err := base64.StdEncoding.DecodeString(s.Signature)
	switch {
	case err != nil || len(public) == 0 || !ed25519.Verify(public, s.bytes(), signature):
		v.say("signed_head_day", s.Day, "was changed; its signature does not match")
	case s.Previous != previous:
		v.say("signed_head_day", s.Day, "does not follow the statement before it; one is missing or was changed")
	case s.Root != root(leaves(sortedHeads(rows))) || s.Accounts != int64(len(rows)):
		v.say("signed_head_day", s.Day, "its heads were changed, removed or added; they do not have the signed root")
	case s.Transactions != transactions:
		v.say("signed_head_day", s.Day, "has %d transactions; its heads add up to %d", s.Transactions, transactions)
	}
	return nil
}

// tail finds statements that were removed from the end.
func (v *Verified) tail(ctx context.Context, r db.Reader, keys []keyRow, all []LedgerDay) error {
	newest, found, err := wallet.NewestTransaction(ctx, r)
	if err != nil || !found || len(keys) == 0 {
		return err
	}
	last := keys[len(keys)-1].createdAt
	if len(all) > 0 {
		if last, err = time.Parse(time.DateOnly, all[len(all)-1].Day); err != nil {
			return nil // reported by its signature
		}
	}
	if newest.Sub(last) > 24*time.Hour+unsigned {
		v.say("signed_head_day", newest.UTC().Format(time.DateOnly),
			"is missing; the newest statement is of %s, and there are newer transactions", last.Format(time.DateOnly))
	}
	return nil
}
