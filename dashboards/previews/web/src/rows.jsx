// A table. Grafana's own sorts and links with the program around it, so this one is ours; it shows the same cells.
import React from 'react';
import { formattedValueToString, getFieldDisplayName } from '@grafana/data';
import { theme } from './frames.js';

const ROW_PX = 32;

function sorted(frame, fields, sortBy) {
  const order = Array.from({ length: frame.length }, (_, index) => index);
  const [by] = sortBy ?? [];
  const field = by && fields.find((each) => each.name === by.displayName);
  if (!field) {
    return order;
  }
  const value = (index) => field.field.values[index] ?? -Infinity;
  const compare = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0);
  return order.sort((a, b) => compare(a, b) * (by.desc ? -1 : 1));
}

export function Rows({ panel, data, width }) {
  const [frame] = data;
  if (!frame?.length) {
    return <div style={{ padding: 24, textAlign: 'center', color: theme.colors.text.secondary }}>{panel.fieldConfig.defaults.noValue}</div>;
  }
  const fields = frame.fields
    .map((field) => ({ field, name: getFieldDisplayName(field, frame) }))
    .filter(({ field }) => field.values.some((value) => value !== '' && value !== undefined));
  const fixed = fields.reduce((sum, { field }) => sum + (field.config.custom?.width ?? 0), 0);
  const free = (width - fixed) / fields.filter(({ field }) => !field.config.custom?.width).length;
  const cell = (field, last) => ({
    width: field.config.custom?.width ?? free, boxSizing: 'border-box', padding: '6px 10px', overflow: 'hidden',
    whiteSpace: 'nowrap', textOverflow: 'ellipsis', textAlign: field.type === 'number' ? 'right' : 'left',
    borderRight: last ? 'none' : `1px solid ${theme.colors.border.weak}`,
  });
  const line = { display: 'flex', height: ROW_PX, fontSize: 13, borderBottom: `1px solid ${theme.colors.border.weak}` };
  return (
    <div style={{ width }}>
      <div style={{ ...line, color: theme.colors.text.link, fontWeight: 500 }}>
        {fields.map(({ field, name }, n) => <div key={name} style={cell(field, n === fields.length - 1)}>{name}</div>)}
      </div>
      {sorted(frame, fields, panel.options.sortBy).map((index) => (
        <div key={index} style={line}>
          {fields.map(({ field, name }, n) => {
            const shown = field.display(field.values[index]);
            const coloured = field.config.custom?.cellOptions?.type === 'color-text';
            const missing = field.values[index] === undefined || field.values[index] === null;
            const colour = field.config.links?.length ? theme.colors.text.link : coloured && !missing ? shown.color : theme.colors.text.primary;
            return <div key={name} style={{ ...cell(field, n === fields.length - 1), color: colour }}>{missing ? '' : formattedValueToString(shown)}</div>;
          })}
        </div>
      ))}
    </div>
  );
}
