/**
 * Writes src/testing/causal-draft-golden.json: what Hugging Face's transformers says of the drafts that we export.
 *
 *     node scripts/causal-draft-golden.ts PYTHON     a Python with torch and transformers
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeCausalDraft } from '../dist/causal-draft-files.js'
import { goldenDrafts, goldenRows } from '../dist/testing/golden-draft.js'

const program = `
import json, sys, torch, transformers
out = []
for directory in sys.argv[2:]:
    model, info = transformers.AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    assert not any(info[k] for k in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    with torch.no_grad():
        logits = model(torch.tensor([json.loads(sys.argv[1])])).logits[0]
    out.append([[round(x, 6) for x in row] for row in logits.tolist()])
print(json.dumps({"transformers": transformers.__version__, "logits": out}))
`

const root = mkdtempSync(join(tmpdir(), 'causal-draft-'))
try {
  const directories = goldenDrafts.map((draft, i) => {
    const directory = join(root, String(i))
    mkdirSync(directory)
    for (const { path, bytes } of encodeCausalDraft(draft)) writeFileSync(join(directory, path), bytes)
    return directory
  })
  const python = process.argv[2] ?? 'python3'
  const answer = execFileSync(python, ['-c', program, JSON.stringify(goldenRows), ...directories])
  writeFileSync(new URL('../src/testing/causal-draft-golden.json', import.meta.url), `${answer.toString().trim()}\n`)
} finally {
  rmSync(root, { recursive: true })
}
