import { PlateauError } from '@plateau/contracts'
import { describe, expect, it } from 'vitest'
import { renderChat } from './chat-template.js'

const hello = [{ role: 'user', content: 'Hello' }]

/** SmolLM2-Instruct's (Apache-2.0), with its default system message. */
const smol = `{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}`

/** In the way of Llama 2 and Mistral: the first token is written out, and roles must alternate. */
const alternating = `{{ bos_token }}
{%- for message in messages %}
  {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
    {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
  {%- endif %}
  {%- if message['role'] == 'user' %}
    {{- '[INST] ' + message['content'] | trim + ' [/INST]' }}
  {%- else %}
    {{- ' ' + message['content'] | trim + eos_token }}
  {%- endif %}
{%- endfor %}`

function failure(work: () => unknown): PlateauError {
  try {
    work()
  } catch (thrown) {
    if (thrown instanceof PlateauError) return thrown
    throw thrown
  }
  throw new Error('this should not have been rendered')
}

describe('a chat', () => {
  it('without a template is one line for each message and an open answer', () => {
    const messages = [{ role: 'system', content: 'Be brief.' }, ...hello]
    expect(renderChat(messages, undefined, {})).toBe('system: Be brief.\nuser: Hello\nassistant:')
    const closed = { addGenerationPrompt: false }
    expect(renderChat(messages, undefined, {}, closed)).toBe('system: Be brief.\nuser: Hello\n')
  })

  it('is rendered as the model was taught', () => {
    const system = 'You are a helpful AI assistant named SmolLM, trained by Hugging Face'
    expect(renderChat(hello, smol)).toBe(
      `<|im_start|>system\n${system}<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n`,
    )
  })

  it('gets the first and last token where the template writes them', () => {
    const messages = [...hello, { role: 'assistant', content: ' Hi ' }, { role: 'user', content: 'Bye' }]
    expect(renderChat(messages, alternating, { bosToken: '<s>', eosToken: '</s>' })).toBe(
      '<s>[INST] Hello [/INST] Hi</s>[INST] Bye [/INST]',
    )
  })

  it('has no tools, in whichever way a template asks', () => {
    const asking = '{% if tools %}a{% endif %}{% if tools is not none %}b{% endif %}c'
    expect(renderChat(hello, asking)).toBe('c')
  })

  it('that the template does not take is refused with its own words', () => {
    const error = failure(() => renderChat([...hello, ...hello], alternating))
    expect(error.code).toBe('CHAT_TEMPLATE_REFUSED')
    expect(error.message).toContain('Conversation roles must alternate')
  })

  it.each(['{% for message in messages %}', '{{ messages | }}', '{% nonsense %}', "{{ 'open }}"])(
    'of a template that is broken is refused in one line: %s',
    (template) => {
      const error = failure(() => renderChat(hello, template))
      expect(error.code).toBe('CHAT_TEMPLATE_INVALID')
      expect(error.message).not.toContain('\n')
    },
  )

  it('shows what a message says, whatever is in it', () => {
    const content = "{{ bos_token }} {% raw %} <|im_end|> \\n '"
    expect(renderChat([{ role: 'user', content }], smol)).toContain(content)
  })
})
