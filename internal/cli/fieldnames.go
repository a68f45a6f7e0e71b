package cli

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// inputNames map the API's fields to flags ("--max-price") and arguments ("<machine>") of commands.
// The first one that a command has is what its user typed. Fields whose flag is their own name in
// kebab case need no entry.
var inputNames = map[string][]string{
	"Idempotency-Key":       {"--idempotency-key"},
	"amount":                {"--amount", "<amount>"},
	"autoTerminateAt":       {"--auto-terminate"},
	"cloudInit":             {"--cloud-init"},
	"deliveryId":            {"<delivery>"},
	"deploymentId":          {"--deployment", "<deployment>", "<machine>"},
	"gpuCount":              {"--gpus"},
	"gpuType":               {"--gpu"},
	"groupBy":               {"--by"},
	"id":                    {"<machine>", "<volume>", "<key>", "<webhook>", "<quote>", "<offer>"},
	"instanceType":          {"--type"},
	"maxHourlyPrice":        {"--max-price"},
	"maxRuntimeMinutes":     {"--max-runtime"},
	"minGpuCount":           {"--min-gpus"},
	"name":                  {"--name", "<name>"},
	"imageId":               {"--image"},
	"offerId":               {"--offer", "<offer>"},
	"operatingSystem":       {"--os"},
	"publicKey":             {"[file|-]"},
	"quoteId":               {"--quote", "<quote>"},
	"regions":               {"--region"},
	"search":                {"--name", "[words…]"},
	"sizeBytes":             {"--size", "--file"},
	"sizeGb":                {"--size"},
	"sshKeyId":              {"--ssh-key"},
	"sshKeyIds":             {"--ssh-key"},
	"ssh_public_key":        {"--ssh-public-key-file"},
	"subject":               {"[machine]"},
	"tags":                  {"--tag"},
	"terminationProtection": {"--protect"},
	"types":                 {"--event", "--type"},
	"type":                  {"--event", "--type"},
	"volumeId":              {"--volume", "<volume>"},
	"volumeIds":             {"--volume"},
	"waitFor":               {"--for"},
}

// inputName returns the flag or argument of cmd that sets the API's field, or the field's own name
// where cmd has none. 'billet api' takes the API's fields themselves.
func inputName(cmd *cobra.Command, field string) string {
	if cmd == nil || cmd.Name() == "api" {
		return field
	}
	name := field
	for _, part := range []string{"query.", "path.", "body.", "header."} {
		name = strings.TrimPrefix(name, part)
	}
	root := name
	if at := strings.IndexAny(root, ".["); at > 0 {
		root = root[:at]
	}
	for _, input := range append(inputNames[root], "--"+kebab(root)) {
		if flag, is := strings.CutPrefix(input, "--"); is && flagOf(cmd, flag) != nil ||
			!is && strings.Contains(cmd.Use, input) {
			return strings.Trim(strings.ReplaceAll(input, "|-", ""), "[…]") // "file", not "[file|-]"
		}
	}
	return name
}

func flagOf(cmd *cobra.Command, name string) *pflag.Flag { return cmd.Flags().Lookup(name) }

var wordStart = regexp.MustCompile(`[A-Z]`)

func kebab(camel string) string {
	return strings.ToLower(wordStart.ReplaceAllString(camel, "-$0"))
}

// commandFor maps calls of the API, as its messages name them, to commands.
var commandFor = map[string]string{
	"GET /deployments":           "'billet ps'",
	"GET /gpu-types":             "'billet gpus'",
	"GET /offers":                "'billet offers'",
	"GET /offers?available=true": "'billet offers'",
	"GET /providers":             "'billet providers'",
	"GET /regions":               "'billet regions'",
	"GET /ssh-keys":              "'billet keys'",
	"GET /volumes":               "'billet volumes'",
	"GET /volumes/pricing":       "'billet volumes pricing'",
	"GET /wallet":                "'billet wallet'",
	"GET /webhooks":              "'billet webhooks'",
	"POST /deployments":          "'billet deploy'",
	"POST /quotes":               "'billet quote'",
	"POST /ssh-keys":             "'billet keys add'",
}

// apiCall matches a method with a path or a query.
var apiCall = regexp.MustCompile(`\b(?:GET|POST|PUT|PATCH|DELETE) (?:/[a-z]|\?)[A-Za-z0-9/{}?=&_-]*`)

// apiName matches a field name of the API, as opposed to an English word.
var apiName = regexp.MustCompile(`\b[a-z]+(?:[A-Z][a-z]+)+\b|\bssh_public_key\b`)

// inCommandTerms replaces the calls and fields of the API that a message names by commands and
// flags.
func inCommandTerms(cmd *cobra.Command, message string) string {
	if cmd == nil || cmd.Name() == "api" {
		return message
	}
	message = apiName.ReplaceAllStringFunc(message, func(name string) string {
		if _, known := inputNames[name]; known {
			return inputName(cmd, name)
		}
		return name
	})
	return apiCall.ReplaceAllStringFunc(message, func(call string) string {
		if strings.Contains(call, "when=earliest") {
			return "'billet terminate --when earliest'"
		}
		if command, known := commandFor[call]; known {
			return command
		}
		return call
	})
}
