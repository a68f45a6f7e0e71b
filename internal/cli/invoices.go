package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

var invoiceCol columnsOf[client.InvoiceSummary]

var invoiceListing = listing[client.InvoiceSummary]{
	id: func(i client.InvoiceSummary) string { return i.ID },
	columns: []column[client.InvoiceSummary]{
		invoiceCol.text("number", "NUMBER", func(i client.InvoiceSummary) string { return i.Number }),
		invoiceCol.text("type", "TYPE", func(i client.InvoiceSummary) string {
			return strings.ReplaceAll(string(i.Type), "_", " ")
		}),
		invoiceCol.text("month", "MONTH", func(i client.InvoiceSummary) string { return i.Month }),
		invoiceCol.money("total", "TOTAL", total, func(i client.InvoiceSummary) client.Money { return i.Total }),
		invoiceCol.money("tax", "TAX", total, func(i client.InvoiceSummary) client.Money { return i.Tax }),
		invoiceCol.money("due", "DUE", total, func(i client.InvoiceSummary) client.Money { return i.Due }),
		invoiceCol.time("issuedAt", "ISSUED", func(i client.InvoiceSummary) time.Time { return i.IssuedAt }),
		invoiceCol.text("id", "INVOICE", func(i client.InvoiceSummary) string { return i.ID }).onlyWide(),
	},
	none: "No invoices. The invoice of a month is issued after its end, if the operator issues invoices.",
}

func (t *tool) invoices() *cobra.Command {
	cmd := &cobra.Command{
		Use: "invoices", Aliases: []string{"invoice"}, Short: "List and download invoices", Args: cobra.NoArgs,
		Long: `Lists invoices and credit notes, newest first. An invoice covers a month's usage and the changes
of the prepaid balance. Refer to an invoice by number or ID.`,
		Example: `  billet invoices
  billet invoices show preview
  billet invoices download 2026-000123 --format pdf -O november.pdf`,
	}
	type documents = iter.Seq2[client.InvoiceSummary, error]
	listAll(t, cmd, invoiceListing, func(ctx context.Context, c *client.Client) documents {
		return c.Invoices.All(ctx, client.InvoiceQuery{})
	})
	cmd.AddCommand(t.invoiceShow(), t.invoiceDownload())
	return cmd
}

// invoiceID finds an invoice by ID or number.
func invoiceID(ctx context.Context, c *client.Client, ref string) (string, error) {
	if strings.HasPrefix(ref, "ivc_") {
		return ref, nil
	}
	var found []client.InvoiceSummary
	for i, err := range c.Invoices.All(ctx, client.InvoiceQuery{}) {
		if err != nil {
			return "", err
		}
		if i.Number == ref {
			found = append(found, i)
			break // numbers are unique
		}
	}
	i, err := resolve("invoice", ref, found, nil, func(i client.InvoiceSummary) string { return i.ID })
	if err != nil {
		return "", err
	}
	return i.ID, nil
}

func invoiceNumbers(ctx context.Context, c *client.Client) ([]cobra.Completion, error) {
	items, err := collect(c.Invoices.All(ctx, client.InvoiceQuery{}))
	numbers := make([]cobra.Completion, len(items))
	for n, i := range items {
		numbers[n] = cobra.CompletionWithDesc(i.Number, i.Month)
	}
	return numbers, err
}

func (t *tool) invoiceShow() *cobra.Command {
	cmd := &cobra.Command{
		Use: "show <invoice>", Aliases: []string{"get"}, Short: "Show an invoice", Args: cobra.ExactArgs(1),
		Long: `Shows an invoice or credit note. "preview" is the invoice of the current month so far;
its amounts still change.`,
		Example: `  billet invoices show 2026-000123
  billet invoices show preview -o json`,
	}
	t.completeFirstArg(cmd, invoiceNumbers)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		i, err := invoiceOf(ctx, c, args[0])
		if err != nil {
			return err
		}
		rows := []row{
			{"Number", i.Number},
			{"Type", strings.ReplaceAll(string(i.Type), "_", " ")},
			{"Corrects", i.CorrectsNumber},
			{"Month", i.Month},
			{"Seller", i.Seller.Name},
			{"Buyer", i.Buyer.Name},
			{"Purchase order", i.Buyer.PurchaseOrder},
		}
		for _, l := range i.Lines {
			rows = append(rows, row{l.Name, fmt.Sprintf("%s (%s)", total(l.Amount), valueIf(l.Subject, "adjusted"))})
		}
		if b := i.Balance; b != nil {
			rows = append(rows, row{"Opening balance", total(b.Opening)}, row{"Payments", total(b.Payments)},
				row{"Credits", total(b.Credits)}, row{"Adjustments", total(b.Adjustments)},
				row{"Closing balance", total(b.Closing)})
		}
		rows = append(rows, row{"Total", total(i.Total)}, row{taxLabel(i.Totals.Treatment), total(i.Tax)},
			row{"Tax note", i.Totals.Treatment.Reason}, row{"Due", total(i.Due)})
		for _, m := range i.MissingDetails {
			rows = append(rows, row{"Warning", m.Message})
		}
		return show(t, i.ID, i, rows...)
	})
}

func invoiceOf(ctx context.Context, c *client.Client, ref string) (*client.Invoice, error) {
	if ref == "preview" {
		return c.Invoices.Preview(ctx)
	}
	id, err := invoiceID(ctx, c, ref)
	if err != nil {
		return nil, err
	}
	return c.Invoices.Get(ctx, id)
}

func valueIf(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func taxLabel(t client.TaxTreatment) string {
	if t.Category != client.TaxStandard {
		return t.Name
	}
	return fmt.Sprintf("%s %v%%", t.Name, t.Percent)
}

func (t *tool) invoiceDownload() *cobra.Command {
	var format, file string
	cmd := &cobra.Command{
		Use: "download <invoice>", Short: "Download an invoice as a file", Args: cobra.ExactArgs(1),
		Long: `Downloads an invoice or credit note. Every download is byte-for-byte identical. The format
xml is an electronic invoice according to EN 16931, in the syntax UN/CEFACT CII.`,
		Example: `  billet invoices download 2026-000123
  billet invoices download 2026-000123 --format xml -O - | xmllint --format -`,
	}
	f := cmd.Flags()
	f.StringVar(&format, "format", "pdf", "pdf, html or xml")
	f.StringVarP(&file, "output-file", "O", "", "`file` to write; - for standard output; default: the number")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"pdf", "html", "xml"},
		cobra.ShellCompDirectiveNoFileComp))
	t.completeFirstArg(cmd, invoiceNumbers)
	return t.withClient(cmd, func(ctx context.Context, c *client.Client, args []string) error {
		if format != "pdf" && format != "html" && format != "xml" {
			return usageError("--format must be pdf, html or xml, not %q.", format)
		}
		id, err := invoiceID(ctx, c, args[0])
		if err != nil {
			return err
		}
		body, err := c.Invoices.Download(ctx, id, client.InvoiceFormat(format))
		if err != nil {
			return err
		}
		defer func() { _ = body.Close() }()
		if file == "" {
			file = strings.NewReplacer("/", "-", ".", "-").Replace(args[0]) + "." + format
		}
		return t.save(id, file, body)
	})
}

// save writes a document to a file, or to standard output for "-".
func (t *tool) save(id, file string, body io.Reader) error {
	if file == "-" {
		_, err := io.Copy(t.Out, body)
		return err
	}
	content, err := io.ReadAll(body) // before the file is replaced
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		return errors.Join(errors.New("the document was not saved"), err)
	}
	return printResult(t, id, map[string]any{"id": id, "file": file}, "Saved %s.", file)
}
