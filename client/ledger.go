package client

import (
	"context"
	"io"
	"net/http"
	"time"
)

// LedgerKey is a public key of the server's ledger.
type LedgerKey struct {
	// ID is the first 16 hexadecimal digits of the SHA-256 of the key.
	ID string `json:"id"`
	// PublicKey is an Ed25519 public key, 32 bytes in base64.
	PublicKey string    `json:"publicKey"`
	CreatedAt time.Time `json:"createdAt"`
}

// LedgerDay is the signed statement of a day, which covers all transactions so far.
type LedgerDay struct {
	// Day is the day in UTC, 2028-02-29.
	Day string `json:"day"`
	// Previous is the SHA-256 of the statement before it; "" for the first.
	Previous string `json:"previous"`
	// Root is the Merkle root of the heads that changed since; "" if none did.
	Root string `json:"root"`
	// Accounts is the number of these heads, Transactions that of all transactions so far.
	Accounts     int `json:"accounts"`
	Transactions int `json:"transactions"`
	// KeyID and Signature are of Ed25519; the signature is in base64.
	KeyID     string `json:"keyId"`
	Signature string `json:"signature"`
}

// LedgerKeys are the keys that sign the ledger.
type LedgerKeys struct {
	// Keys are newest first. There is one, unless the server's secret key was replaced.
	Keys []LedgerKey `json:"keys"`
	// Newest is the newest statement; nil before the first.
	Newest *LedgerDay `json:"newest"`
}

// LedgerEntry is one side of a transaction.
type LedgerEntry struct {
	Book   string `json:"book"`
	Amount Money  `json:"amount"`
}

// LedgerStep leads from a node of a Merkle tree to the one above it.
type LedgerStep struct {
	// Side is the side of the other node, left or right.
	Side string `json:"side"`
	// Hash is the other node's hash in hexadecimal.
	Hash string `json:"hash"`
}

// LedgerRecord is a line of the statement that LedgerLines streams. Record says which fields it
// has: of a statement, Version, Account and Currency; of a transaction, Seq to Hash except Digest;
// of a link, Seq, Digest and Hash; of a head, Account, Seq, Hash, and the last ones.
type LedgerRecord struct {
	// Record is statement, transaction, link or head.
	Record   string `json:"record"`
	Version  int    `json:"version"`
	Account  string `json:"account"`
	Currency string `json:"currency"`

	Seq            int64           `json:"seq"`
	ID             string          `json:"id"`
	Type           TransactionType `json:"type"`
	Amount         Money           `json:"amount"`
	BalanceAfter   Money           `json:"balanceAfter"`
	AvailableAfter Money           `json:"availableAfter"`
	Description    string          `json:"description"`
	// Subject is the deployment or volume that was billed.
	Subject     *string    `json:"subject"`
	Hour        *int64     `json:"hour"`
	From        *time.Time `json:"from"`
	To          *time.Time `json:"to"`
	HourlyPrice *Money     `json:"hourlyPrice"`
	// Rounding is half-up for a charge or refund.
	Rounding *string `json:"rounding"`
	Provider string  `json:"provider"`
	Region   string  `json:"region"`
	GPUType  string  `json:"gpuType"`
	Name     string  `json:"name"`
	// Reference is the SHA-256 of the key that makes a credit happen once.
	Reference *string       `json:"reference"`
	CreatedAt time.Time     `json:"createdAt"`
	Entries   []LedgerEntry `json:"entries"`
	// PreviousHash is the hash of the transaction before this one.
	PreviousHash string `json:"previousHash"`
	// Digest is the hash of the transaction's own fields.
	Digest string `json:"digest"`
	Hash   string `json:"hash"`

	// Path leads from the head to the root of LedgerDay.
	Path      []LedgerStep `json:"path"`
	PublicKey string       `json:"publicKey"`
	LedgerDay
}

// LedgerLines streams the transactions of an interval as JSON lines of LedgerRecord, oldest first,
// with everything that proves them: hashes, rates, and the signed head that covers them. A zero
// time does not limit. The caller must close it. An error while reading means that the data is
// incomplete.
func (s *WalletService) LedgerLines(
	ctx context.Context, from, to time.Time, options ...CallOption,
) (io.ReadCloser, error) {
	query := queryOf(TransactionQuery{From: from, To: to})
	query.Set("format", "jsonl")
	return s.c.send(ctx, request{
		method: http.MethodGet, path: "/wallet/transactions", query: query, accept: "application/jsonl",
		streaming: true,
	}, options)
}
